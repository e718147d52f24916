"""Drives google.longrunning.Operations with grpcio and Python's protobuf.

Reads {"target", "descriptors", "parent", "name"} as JSON from its first argument, descriptors being
a FileDescriptorSet in base64, and prints what it saw as one JSON object.
"""

import base64
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SERVICE = "google.longrunning.Operations"


def main(target, descriptors, parent, name):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(descriptors)).file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    service = pool.FindServiceByName(SERVICE)

    with grpc.insecure_channel(target) as channel:

        def call(method, **fields):
            found = service.FindMethodByName(method)
            invoke = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=factory.GetPrototype(found.output_type).FromString,
            )
            request = factory.GetPrototype(found.input_type)(**fields)
            return json_format.MessageToDict(invoke(request, timeout=10), descriptor_pool=pool)

        seen = {"get": call("GetOperation", name=name)}
        pages = [call("ListOperations", name=parent, page_size=2)]
        while pages[-1].get("nextPageToken"):
            token = pages[-1]["nextPageToken"]
            pages.append(call("ListOperations", name=parent, page_size=2, page_token=token))
        seen["pages"] = [[one["name"] for one in page["operations"]] for page in pages]
        seen["wait"] = call("WaitOperation", name=pages[-1]["operations"][-1]["name"])
        seen["cancel"] = call("CancelOperation", name=name)
        seen["delete"] = call("DeleteOperation", name=name)
        try:
            call("GetOperation", name=name)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata())
            seen["gone"] = {
                "code": error.code().name,
                "message": error.details(),
                "hasDetails": "grpc-status-details-bin" in trailers,
            }
    print(json.dumps(seen))


main(*(json.loads(sys.argv[1])[key] for key in ("target", "descriptors", "parent", "name")))
