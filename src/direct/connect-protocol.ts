/**
 * The exports of Connect's protocol modules that this package uses. Connect does not promise to
 * keep them. Only this file imports these modules, so that a new version of Connect changes only
 * this file.
 */
export {
  type Compression,
  compressionNegotiate,
  createMethodSerializationLookup,
  createMethodUrl,
  createUniversalHandlerClient,
  invokeUnaryImplementation,
  readAllBytes,
  runUnaryCall,
  type Serialization,
  type UniversalHandler,
  type UniversalHandlerFn,
  type UniversalHandlerOptions,
  type UniversalServerRequest,
  type UniversalServerResponse,
  validateReadWriteMaxBytes,
  validateUniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
export {
  codeToHttpStatus,
  createTransport as createConnectTransport,
  errorFromJsonBytes,
  errorToJsonBytes,
  parseTimeout as parseConnectTimeout,
  trailerMux,
} from "@connectrpc/connect/protocol-connect";
export {
  contentTypeJson as grpcContentTypeJson,
  contentTypeProto as grpcContentTypeProto,
  grpcStatusOk,
  headerAcceptEncoding as grpcHeaderAcceptEncoding,
  parseContentType as parseGrpcContentType,
  parseTimeout as parseGrpcTimeout,
  requestHeaderWithCompression as grpcRequestHeader,
  setTrailerStatus,
  validateResponseWithCompression as validateGrpcResponse,
  validateTrailer as validateGrpcTrailer,
} from "@connectrpc/connect/protocol-grpc";
