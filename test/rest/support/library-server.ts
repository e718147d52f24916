import { create } from "@bufbuild/protobuf";
import { type Book, LibraryService } from "../../gen/library/v1/library_pb.js";
import { type RestServer, type RestServerOptions, startRestServer } from "./rest-server.js";

/** A library over REST, whose methods answer with the request that they got. */
export interface LibraryServer extends RestServer {
  /** The requests that came through, with the methods that they were for. */
  readonly calls: readonly (readonly [method: string, book: Book])[];
}

export async function startLibraryServer(options: RestServerOptions = {}): Promise<LibraryServer> {
  const calls: (readonly [string, Book])[] = [];
  const truncateForError = (method: string) => (book: Book) => {
    calls.push([method, book]);
    return book;
  };
  const server = await startRestServer((router) => {
    router.service(LibraryService, {
      getByName: truncateForError("GetByName"),
      getById: truncateForError("GetById"),
      updateShelf: truncateForError("UpdateShelf"),
      updateAll: truncateForError("UpdateAll"),
      setTags: truncateForError("SetTags"),
      getShelf: truncateForError("GetShelf"),
      getTags: truncateForError("GetTags"),
      purge: truncateForError("Purge"),
      scan: (body) => body,
      scanPage: (page) => page,
      hidden: () => create(LibraryService.method.hidden.output),
    });
  }, options);
  return Object.assign(server, { calls });
}
