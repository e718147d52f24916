/**
 * The only import of the generated code: everything that protobuf-es generated from the .proto
 * files in `proto/`, under the same names. Generated code of other packages imports the single
 * files (`connect-longrunning/gen/google/…_pb.js`).
 */
export * from "../gen/google/api/annotations_pb.js";
export * from "../gen/google/api/client_pb.js";
export * from "../gen/google/api/field_behavior_pb.js";
export * from "../gen/google/api/field_info_pb.js";
export * from "../gen/google/api/http_pb.js";
export * from "../gen/google/api/httpbody_pb.js";
export * from "../gen/google/api/launch_stage_pb.js";
export * from "../gen/google/longrunning/operations_pb.js";
export * from "../gen/google/rpc/code_pb.js";
export * from "../gen/google/rpc/error_details_pb.js";
export * from "../gen/google/rpc/http_pb.js";
export * from "../gen/google/rpc/status_pb.js";
export * from "../gen/grpc/health/v1/health_pb.js";
export * from "../gen/grpc/reflection/v1/reflection_pb.js";
