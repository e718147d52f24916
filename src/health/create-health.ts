import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { canceledBy } from "../internal/canceled-by.js";
import { type Clock, systemClock } from "../internal/clock.js";
import { notifySafely } from "../internal/notify-safely.js";
import { atLeastOne, inRange, longestMs } from "../internal/option-bounds.js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  type Health as HealthService,
} from "../protos.js";
import {
  serviceNameTooLong,
  serviceUnknown,
  tooManyServices,
  tooManyWatches,
  watchClosed,
} from "./errors.js";
import { followCheck } from "./follow-check.js";

/** Whether a service takes calls (grpc.health.v1.HealthCheckResponse.ServingStatus). */
export type ServingStatus = "UNKNOWN" | "SERVING" | "NOT_SERVING";

/** Options of `createHealth`. */
export interface HealthOptions {
  /**
   * Watch calls at a time, at least 1; a further one is RESOURCE_EXHAUSTED. Default: 1000.
   */
  maxWatches?: number | undefined;
  /**
   * Decides whether the server is ready, such as `operations.checkStore`. While it rejects, or does not
   * settle within `checkIntervalMs`, all services are NOT_SERVING. Default: a server is always ready.
   *
   * All replicas on one database become unready together, and then no replica responds to a client.
   */
  check?: (() => Promise<unknown>) | undefined;
  /** Time between two calls of `check`, in milliseconds, at least 1. Default: 5000. */
  checkIntervalMs?: number | undefined;
  /** Called with false when `check` begins to fail, and with true when it passes again. */
  onReadyChange?: ((isReady: boolean) => void) | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The health of a server and of its services, for load balancers and orchestrators. */
export interface Health {
  /** The three methods: `router.service(Health, health.service)`. */
  readonly service: ServiceImpl<typeof HealthService>;
  /** Whether the server as a whole is SERVING. */
  readonly isServing: boolean;
  /** Say how a service is, by its full name; "" is the server as a whole. */
  set(service: string, status: ServingStatus): void;
  /** Forget a service: it is unknown from now on. */
  delete(service: string): void;
  /** Reports NOT_SERVING for all services from now on, regardless of their set status, including to Watch calls. */
  drain(): void;
  /** Drains, stops calling the check, and ends every Watch call with UNAVAILABLE. */
  close(): void;
}

/** health.proto: a longer list is RESOURCE_EXHAUSTED. */
const maxListedServices = 100;

/** A Watch call keeps its service's name in memory. */
const maxNameLength = 1024;

/**
 * Makes a health service (grpc.health.v1). The server as a whole is SERVING from the start.
 *
 * @throws RangeError for an option out of its bounds.
 * @example
 * const health = createHealth();
 * health.set("printing.v1.PrintService", "SERVING");
 * router.service(HealthService, health.service);
 */
export function createHealth(options: HealthOptions = {}): Health {
  const maxWatches = atLeastOne("maxWatches", options.maxWatches ?? 1000);
  const statuses = new Map<string, ServingStatus>([["", "SERVING"]]);
  /** One callback per Watch call, and the service that it is about. */
  const watches = new Map<() => void, string>();
  let isReady = true;
  let isDraining = false;
  let isClosed = false;

  const statusOf = (service: string): ServingStatus | undefined => {
    const status = statuses.get(service);
    return status !== undefined && (isDraining || !isReady) ? "NOT_SERVING" : status;
  };
  const wake = (service?: string) => {
    for (const [onChange, watched] of watches) {
      if (service === undefined || service === watched) onChange();
    }
  };

  let stopChecking = () => {};
  if (options.check !== undefined) {
    const intervalMs = inRange("checkIntervalMs", options.checkIntervalMs ?? 5000, 1, longestMs);
    const clock = options.clock ?? systemClock;
    stopChecking = followCheck(options.check, intervalMs, clock, (isPassed) => {
      isReady = isPassed;
      wake();
      notifySafely(options.onReadyChange, (to) => to(isPassed));
    });
  }

  async function* watch({ service }: HealthCheckRequest, { signal }: HandlerContext) {
    if (service.length > maxNameLength) throw serviceNameTooLong(service, maxNameLength);
    if (isClosed) throw watchClosed();
    if (watches.size >= maxWatches) throw tooManyWatches(maxWatches);
    let onChange = () => {};
    // The listener is registered before the status is first read, so that no change is missed.
    const changed = () => onChange();
    watches.set(changed, service);
    signal.addEventListener("abort", changed);
    try {
      for (let shown: string | undefined; ; ) {
        if (signal.aborted) throw canceledBy(signal);
        const status = statusOf(service) ?? "SERVICE_UNKNOWN";
        if (status !== shown) {
          shown = status;
          yield responseOf(status);
        } else if (isClosed) {
          throw watchClosed();
        } else {
          await new Promise<void>((resolve) => {
            onChange = resolve;
          });
        }
      }
    } finally {
      watches.delete(changed);
      signal.removeEventListener("abort", changed);
    }
  }

  return {
    service: {
      check({ service }) {
        const status = statusOf(service);
        if (status === undefined) throw serviceUnknown(service);
        return responseOf(status);
      },
      list() {
        if (statuses.size > maxListedServices) throw tooManyServices(maxListedServices);
        const services = [...statuses.keys()];
        return {
          statuses: Object.fromEntries(
            services.map((service) => [service, responseOf(statusOf(service) ?? "UNKNOWN")]),
          ),
        };
      },
      watch,
    },
    get isServing() {
      return statusOf("") === "SERVING";
    },
    set(service, status) {
      statuses.set(service, status);
      wake(service);
    },
    delete(service) {
      statuses.delete(service);
      wake(service);
    },
    drain() {
      stopChecking();
      isDraining = true;
      wake();
    },
    close() {
      stopChecking();
      isDraining = true;
      isClosed = true;
      wake();
    },
  };
}

function responseOf(status: ServingStatus | "SERVICE_UNKNOWN"): HealthCheckResponse {
  return create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus[status] });
}
