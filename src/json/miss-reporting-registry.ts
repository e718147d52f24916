import type { Registry } from "@bufbuild/protobuf";

/** Wraps a registry; `missed` is called with each message type that the registry does not have. */
export function missReportingRegistry(
  registry: Registry,
  missed: (typeName: string) => void,
): Registry {
  return {
    ...registry,
    getMessage(typeName) {
      const desc = registry.getMessage(typeName);
      if (desc === undefined) missed(typeName);
      return desc;
    },
  };
}
