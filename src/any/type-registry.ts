import { createRegistry, type DescFile, type DescService, type Registry } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details, file_google_rpc_status } from "../protos.js";

/**
 * Collects the types that an Any may hold: the types of the services' files and of their
 * imports, from which `operation_info` takes its types (AIP-4210); the details of google.rpc;
 * the well-known types; and the types of `own`, which win over others of the same name.
 */
export function typeRegistryOf(files: Iterable<DescFile>, own: Registry | undefined): Registry {
  const all = new Set<DescFile>([
    file_google_protobuf_any,
    file_google_protobuf_duration,
    file_google_protobuf_empty,
    file_google_protobuf_field_mask,
    file_google_protobuf_struct,
    file_google_protobuf_timestamp,
    file_google_protobuf_wrappers,
    file_google_rpc_error_details,
    file_google_rpc_status,
  ]);
  const add = (file: DescFile) => {
    if (all.has(file)) return;
    all.add(file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const file of files) add(file);
  return createRegistry(...all, ...(own === undefined ? [] : [own]));
}

/**
 * Returns a registry for JSON (`jsonOptions.registry` of Connect) of the types that operations of
 * these services hold: the types of their files and imports, the details of google.rpc and the
 * well-known types. `createServer` and `createRestHandler` already use one. Other servers and
 * clients that use JSON, such as Connect-Web's default transport, need it.
 *
 * @param services The services whose methods start operations.
 * @param more Further types.
 *
 * @example
 * const registry = createTypeRegistry([PrintService]);
 * const transport = createConnectTransport({ baseUrl, jsonOptions: { registry } });
 */
export function createTypeRegistry(services: Iterable<DescService>, more?: Registry): Registry {
  return typeRegistryOf(
    Array.from(services, ({ file }) => file),
    more,
  );
}
