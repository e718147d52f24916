/**
 * The generated code of the driver service, which only the conformance suite
 * needs. `src/protos.ts` exports the code of the other .proto files.
 */
export * from "../../gen/longrunning/conformance/v1/driver_pb.js";
