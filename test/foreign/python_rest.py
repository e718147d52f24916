"""Drives a REST face with google-api-python-client, built from its discovery document.

Reads {"baseUrl", "version", "parent", "name"} as JSON from its first argument, and prints what it
saw as one JSON object.
"""

import json
import sys

import httplib2
from googleapiclient import discovery, errors


def main(base_url, version, parent, name):
    http = httplib2.Http()
    url = base_url + "/$discovery/rest?version={apiVersion}"
    _, content = http.request(url.replace("{apiVersion}", version))

    from_document = discovery.build_from_document(json.loads(content), http=http)
    from_url = discovery.build("longrunning", version, http=http, discoveryServiceUrl=url)
    seen = {"methods": sorted(m for m in dir(resource(from_url)) if not m.startswith("_"))}
    operations = resource(from_document)

    seen["get"] = operations.get(name=name).execute()

    pages = []
    request = operations.list(name=parent, pageSize=2)
    while request is not None:
        page = request.execute()
        pages.append([operation["name"] for operation in page.get("operations", [])])
        request = operations.list_next(request, page)
    seen["pages"] = pages

    seen["filtered"] = operations.list(name=parent, filter="done=true").execute()

    # Longer than 2,048 characters, so that it is sent as a POST.
    long_filter = 'done=true AND NOT name="' + "p" * 3960 + '"'
    seen["long"] = operations.list(name=parent, filter=long_filter).execute()

    batched = {}

    def keep(request_id, response, error):
        batched[request_id] = response if error is None else int(error.resp.status)

    batch = from_document.new_batch_http_request(callback=keep)
    for at in range(48):
        batch.add(operations.get(name=name), request_id=str(at))
    batch.add(operations.get(name=name + "0"), request_id="missing")
    batch.add(operations.list(name=parent, filter=long_filter), request_id="long")
    batch.execute(http=http)
    seen["batch"] = batched

    seen["cancel"] = operations.cancel(name=name, body={}).execute()
    seen["delete"] = operations.delete(name=name).execute()
    seen["gone"] = outcome(operations.get(name=name).execute)
    seen["gone1"] = outcome(operations.get(name=name, x__xgafv="1").execute)
    seen["gone2"] = outcome(operations.get(name=name, x__xgafv="2").execute)
    # Newer than the version that Debian 12 has.
    if hasattr(operations, "close"):
        operations.close()
    print(json.dumps(seen))


def resource(service):
    return service.projects().locations().operations()


def outcome(call):
    """What a call answers, or the status, reason and body of its error."""
    try:
        return {"answer": call()}
    except errors.HttpError as error:
        body = json.loads(error.content)
        # `reason` is newer than the version that Debian 12 has.
        reason = getattr(error, "reason", None) or error._get_reason().strip()
        return {"status": int(error.resp.status), "reason": reason, "body": body}


main(*(json.loads(sys.argv[1])[key] for key in ("baseUrl", "version", "parent", "name")))
