import { longRunning } from "connect-longrunning";
import {
  CountingService,
  CountMetadataSchema,
  CountResponseSchema,
} from "../platforms/gen/counting/v1/counting_pb.ts";

export const Count = longRunning(CountingService.method.count, {
  response: CountResponseSchema,
  metadata: CountMetadataSchema,
});
