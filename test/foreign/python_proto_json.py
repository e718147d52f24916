"""Reads JSON texts as protobuf messages by google.protobuf.json_format.

Its only argument is a file with a FileDescriptorSet. Each line of its input is a JSON object
{"type": the message's full name, "text": the JSON text}; each line of its output is {"bytes": the
message in base64, deterministic} or {"error": the reason}.
"""

import base64
import json
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def main(path):
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    for line in sys.stdin:
        asked = json.loads(line)
        message = factory.GetPrototype(pool.FindMessageTypeByName(asked["type"]))()
        try:
            json_format.Parse(asked["text"], message, descriptor_pool=pool)
            read = message.SerializeToString(deterministic=True)
            answer = {"bytes": base64.b64encode(read).decode()}
        # Whatever it raises, the text was not read.
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=False)


main(sys.argv[1])
