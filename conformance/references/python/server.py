"""A server of google.longrunning.Operations with the conformance driver, on grpcio.

python3 server.py PORT DESCRIPTORS

DESCRIPTORS is a FileDescriptorSet of longrunning/conformance/v1/driver.proto with its imports.
FAULT=cancel-code plants a fault: a cancelled operation ends with code 10.
"""

import base64
import os
import sys
import threading
import time
import uuid
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPERATIONS = "google.longrunning.Operations"
DRIVER = "longrunning.conformance.v1.Driver"
TYPE_URL = "type.googleapis.com/longrunning.conformance.v1."
PORT, DESCRIPTORS = sys.argv[1:3]
CANCELLED = 10 if os.environ.get("FAULT") == "cancel-code" else 1
MAX_WAIT_SECONDS = 30

pool = descriptor_pool.DescriptorPool()
with open(DESCRIPTORS, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(proto)
factory = message_factory.MessageFactory(pool)


def message(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))


Operation = message("google.longrunning.Operation")
ListResponse = message("google.longrunning.ListOperationsResponse")
Empty = message("google.protobuf.Empty")
Result = message("longrunning.conformance.v1.Result")
Progress = message("longrunning.conformance.v1.Progress")
ProbeResponse = message("longrunning.conformance.v1.ProbeResponse")

# One condition guards all state: records by name, in the order of their starts.
changed = threading.Condition()
records = {}
names_by_request_id = {}


class Record:
    def __init__(self, plan):
        self.plan = plan
        self.operation = Operation(name=f"{plan.parent}/operations/{uuid.uuid4()}")
        self.cancel_requested = False
        self.deleted = False
        self.work = ProbeResponse.WORK_RUNNING
        self.report(0)

    def report(self, percent):
        self.operation.metadata.type_url = TYPE_URL + "Progress"
        self.operation.metadata.value = Progress(percent=percent).SerializeToString()

    def run(self):
        plan = self.plan
        seconds = plan.runs_for.seconds + plan.runs_for.nanos / 1e9
        end = time.monotonic() + seconds if plan.HasField("runs_for") else None
        with changed:
            for part in range(1, plan.reports + 2):
                share = (plan.reports + 1 - part) * seconds / (plan.reports + 1)
                limit = None if end is None else end - share
                while not self.operation.done and (limit is None or time.monotonic() < limit):
                    if self.cancel_requested and not plan.ignore_cancel:
                        return self.finish(ProbeResponse.WORK_STOPPED, cancelled=True)
                    changed.wait(None if limit is None else max(0, limit - time.monotonic()))
                if self.operation.done:
                    return None
                self.report(100 * part // (plan.reports + 1))
            return self.finish(ProbeResponse.WORK_ENDED)

    def finish(self, work, cancelled=False):
        self.work = work
        if cancelled:
            self.operation.error.code = CANCELLED
        elif self.plan.WhichOneof("end") == "error":
            self.operation.error.CopyFrom(self.plan.error)
        else:
            self.operation.response.type_url = TYPE_URL + "Result"
            self.operation.response.value = self.plan.result.SerializeToString()
        self.operation.done = True
        changed.notify_all()


def find(name, context):
    record = records.get(name)
    if record is None or record.deleted:
        context.abort(grpc.StatusCode.NOT_FOUND, f'operation "{name}" does not exist')
    return record


def get_operation(request, context):
    with changed:
        return snapshot(find(request.name, context))


def snapshot(record):
    copy = Operation()
    copy.CopyFrom(record.operation)
    return copy


def list_operations(request, context):
    if request.return_partial_success:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "partial success is not supported")
    if request.page_size < 0:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "page_size is negative")
    if request.filter:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "filters are not supported")
    size = min(request.page_size or 50, 1000)
    after = ""
    if request.page_token:
        try:
            parent, after = base64.urlsafe_b64decode(request.page_token).decode().split("\n")
        except ValueError:
            parent = None
        if parent != request.name:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "page_token is invalid")
    with changed:
        own = [record for record in records.values() if record.plan.parent == request.name]
        names = [record.operation.name for record in own]
        rest = own[names.index(after) + 1 :] if after else own
        rest = [record for record in rest if not record.deleted]
        page = [snapshot(record) for record in rest[:size]]
    response = ListResponse(operations=page)
    if len(rest) > size:
        token = f"{request.name}\n{page[-1].name}".encode()
        response.next_page_token = base64.urlsafe_b64encode(token).decode().rstrip("=")
        # Padding would need no escape either; urlsafe_b64decode wants it back.
        response.next_page_token += "=" * (-len(response.next_page_token) % 4)
    return response


def cancel_operation(request, context):
    with changed:
        find(request.name, context).cancel_requested = True
        changed.notify_all()
    return Empty()


def delete_operation(request, context):
    with changed:
        find(request.name, context).deleted = True
        changed.notify_all()
    return Empty()


def wait_operation(request, context):
    limit = MAX_WAIT_SECONDS
    if request.HasField("timeout"):
        limit = min(limit, request.timeout.seconds + request.timeout.nanos / 1e9)
    remaining = context.time_remaining()
    if remaining is not None:
        limit = min(limit, remaining - min(0.25, remaining / 5))
    with changed:
        record = find(request.name, context)
        changed.wait_for(lambda: record.operation.done or record.deleted, max(0, limit))
        return snapshot(find(request.name, context))


def start(request, context):
    if request.refuse:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the plan asks for a refusal")
    if request.validate_only:
        done = Operation(done=True)
        done.response.type_url = TYPE_URL + "Result"
        return done
    with changed:
        known = records.get(names_by_request_id.get(request.request_id))
        if known is not None:
            return snapshot(known)
        for record in records.values():
            same = request.exclusive_key and record.plan.exclusive_key == request.exclusive_key
            if same and not record.operation.done:
                context.abort(grpc.StatusCode.ABORTED, "another operation uses the resource")
        record = Record(request)
        records[record.operation.name] = record
        if request.request_id:
            names_by_request_id[request.request_id] = record.operation.name
        threading.Thread(target=record.run, daemon=True).start()
        return snapshot(record)


def probe(request, context):
    with changed:
        record = records.get(request.name)
        work = ProbeResponse.WORK_UNSPECIFIED if record is None else record.work
        return ProbeResponse(work=work, begun=len(records))


def service(name, methods):
    handlers = {}
    for method in pool.FindServiceByName(name).methods:
        if method.name in methods:
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                methods[method.name],
                request_deserializer=factory.GetPrototype(method.input_type).FromString,
                response_serializer=lambda response: response.SerializeToString(),
            )
    return grpc.method_handlers_generic_handler(name, handlers)


# A held WaitOperation keeps a thread.
server = grpc.server(futures.ThreadPoolExecutor(max_workers=150))
server.add_generic_rpc_handlers(
    (
        service(
            OPERATIONS,
            {
                "GetOperation": get_operation,
                "ListOperations": list_operations,
                "CancelOperation": cancel_operation,
                "DeleteOperation": delete_operation,
                "WaitOperation": wait_operation,
            },
        ),
        service(DRIVER, {"Start": start, "Probe": probe}),
    )
)
server.add_insecure_port(f"127.0.0.1:{PORT}")
server.start()
print("ready", flush=True)
server.wait_for_termination()
