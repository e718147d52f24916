export {
  createHealth,
  type Health,
  type HealthOptions,
  type ServingStatus,
} from "./create-health.js";
