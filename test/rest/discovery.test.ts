import assert from "node:assert/strict";
import { afterEach, describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { operationsHttpRules, type RestHandlerOptions } from "../../src/rest/index.js";
import { startLibraryServer } from "./support/library-server.js";
import { type RestServer, startRestServer } from "./support/rest-server.js";

describe("the discovery document", () => {
  let server: RestServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  async function documentOf(options: RestHandlerOptions, query = "", header = {}) {
    server = await startRestServer((router) => router.service(Operations, {}), options);
    const answer = await server.send("GET", `/$discovery/rest${query}`, { header });
    assert.equal(answer.status, 200, answer.text);
    return Object(answer.json);
  }

  const apim = operationsHttpRules({ version: "v1alpha", parent: "projects/*/locations/*" });

  it("describes the methods of operations as Google's own documents do", async () => {
    const document = await documentOf(
      { rules: apim, discovery: { name: "apim", title: "API Management" } },
      "?version=v1alpha",
    );
    const { kind, id, name, version, title, rootUrl, servicePath, batchPath } = document;
    assert.deepEqual(
      { kind, id, name, version, title, rootUrl, servicePath, batchPath },
      {
        kind: "discovery#restDescription",
        id: "apim:v1alpha",
        name: "apim",
        version: "v1alpha",
        title: "API Management",
        rootUrl: `${server?.baseUrl}/`,
        servicePath: "",
        batchPath: "batch",
      },
    );
    const { projects } = document.resources;
    const { methods } = projects.resources.locations.resources.operations;
    assert.deepEqual(Object.keys(methods).sort(), ["cancel", "delete", "get", "list", "wait"]);
    const one = "^projects/[^/]+/locations/[^/]+/operations/[^/]+$";
    const byName = (pattern: string) => ({
      name: { type: "string", location: "path", required: true, pattern },
    });
    const flat = "v1alpha/projects/{projectsId}/locations/{locationsId}/operations";
    assert.deepEqual(methods.get, {
      id: "apim.projects.locations.operations.get",
      httpMethod: "GET",
      path: "v1alpha/{+name}",
      flatPath: `${flat}/{operationsId}`,
      parameters: byName(one),
      parameterOrder: ["name"],
      response: { $ref: "Operation" },
    });
    assert.deepEqual(methods.list, {
      id: "apim.projects.locations.operations.list",
      httpMethod: "GET",
      path: "v1alpha/{+name}/operations",
      flatPath: flat,
      parameters: {
        ...byName("^projects/[^/]+/locations/[^/]+$"),
        filter: { type: "string", location: "query" },
        pageSize: { type: "integer", format: "int32", location: "query" },
        pageToken: { type: "string", location: "query" },
        returnPartialSuccess: { type: "boolean", location: "query" },
      },
      parameterOrder: ["name"],
      response: { $ref: "ListOperationsResponse" },
    });
    assert.deepEqual(methods.cancel, {
      id: "apim.projects.locations.operations.cancel",
      httpMethod: "POST",
      path: "v1alpha/{+name}:cancel",
      flatPath: `${flat}/{operationsId}:cancel`,
      parameters: byName(one),
      parameterOrder: ["name"],
      request: { $ref: "CancelOperationRequest" },
      response: { $ref: "Empty" },
    });
  });

  it("has a schema for each request and response of its methods", async () => {
    const { schemas } = await documentOf({ rules: apim });
    const any = {
      type: "object",
      additionalProperties: {
        type: "any",
        description: "Properties of the object. Contains field @type with type URL.",
      },
    };
    assert.deepEqual(schemas, {
      CancelOperationRequest: { id: "CancelOperationRequest", type: "object", properties: {} },
      Empty: { id: "Empty", type: "object", properties: {} },
      ListOperationsResponse: {
        id: "ListOperationsResponse",
        type: "object",
        properties: {
          operations: { type: "array", items: { $ref: "Operation" } },
          nextPageToken: { type: "string" },
          unreachable: { type: "array", items: { type: "string" } },
        },
      },
      Operation: {
        id: "Operation",
        type: "object",
        properties: {
          name: { type: "string" },
          metadata: any,
          done: { type: "boolean" },
          error: { $ref: "Status" },
          response: any,
        },
      },
      Status: {
        id: "Status",
        type: "object",
        properties: {
          code: { type: "integer", format: "int32" },
          message: { type: "string" },
          details: { type: "array", items: any },
        },
      },
      WaitOperationRequest: {
        id: "WaitOperationRequest",
        type: "object",
        properties: { timeout: { type: "string", format: "google-duration" } },
      },
    });
  });

  it("describes the proto's own rules, whose ** is any path", async () => {
    const document = await documentOf({});
    const { methods } = document.resources.operations;
    assert.deepEqual(Object.keys(methods).sort(), ["cancel", "delete", "get", "list"]);
    assert.equal(methods.get.path, "v1/{+name}");
    assert.equal(methods.get.flatPath, "v1/operations/{operationsId}");
    assert.equal(methods.get.parameters.name.pattern, "^operations/.*$");
    assert.equal(methods.list.parameters.name.pattern, "^operations$");
  });

  it("describes fields, enums, lists and bodies of every kind", async () => {
    const library = await startLibraryServer();
    const { json } = await library.send("GET", "/$discovery/rest");
    await library.close();
    const { resources, schemas } = Object(json);
    const { methods } = resources.byId;
    assert.equal(methods.get.path, "v1/byId/{id}");
    assert.deepEqual(methods.get.parameters.id, {
      type: "string",
      location: "path",
      required: true,
    });
    assert.deepEqual(methods.get.parameters.genres, {
      type: "string",
      enum: ["GENRE_UNSPECIFIED", "GENRE_FICTION"],
      enumDescriptions: ["", ""],
      location: "query",
      repeated: true,
    });
    assert.equal(methods.get.parameters["shelf.number"].location, "query");
    assert.equal(methods.get.parameters.labels, undefined);
    assert.deepEqual(methods.patch.request, { $ref: "Shelf" });
    assert.equal(methods.patch.parameters["shelf.number"], undefined);
    assert.deepEqual(methods.update.request, { $ref: "Book" });
    assert.deepEqual(schemas.Book.properties.wordCount, { type: "string", format: "int64" });
    assert.deepEqual(schemas.Book.properties.sequel, { $ref: "Book" });
    assert.deepEqual(schemas.Book.properties.signed, { type: "boolean" });
    assert.deepEqual(schemas.Book.properties.labels, {
      type: "object",
      additionalProperties: { type: "string" },
    });
  });

  it("answers 404 for a version that no rule has", async () => {
    await documentOf({ rules: apim });
    const { status, text } = Object(await server?.send("GET", "/$discovery/rest?version=v9"));
    assert.equal(status, 404);
    assert.match(text, /there is no version \\"v9\\"; there are: v1alpha/);
  });

  it("has the root URL of the options, and is absent if they say so", async () => {
    const document = await documentOf({ discovery: { rootUrl: "https://api.example.com/" } });
    assert.equal(document.rootUrl, "https://api.example.com/");
    await server?.close();
    server = await startRestServer((router) => router.service(Operations, {}), {
      discovery: false,
    });
    assert.equal((await server.send("GET", "/$discovery/rest?version=v1")).status, 404);
  });

  it("takes GET and HEAD only", async () => {
    await documentOf({});
    assert.equal((await server?.send("HEAD", "/$discovery/rest?version=v1"))?.status, 200);
    const post = await server?.send("POST", "/$discovery/rest?version=v1");
    assert.equal(post?.status, 405);
    assert.equal(post?.header.allow, "GET, HEAD, OPTIONS");
  });
});
