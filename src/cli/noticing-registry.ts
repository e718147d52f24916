import type { Registry } from "@bufbuild/protobuf";

/** The same registry, which tells of every message type that it was asked for in vain. */
export function noticingRegistry(registry: Registry, missed: (typeName: string) => void): Registry {
  return {
    ...registry,
    getMessage(typeName) {
      const desc = registry.getMessage(typeName);
      if (desc === undefined) missed(typeName);
      return desc;
    },
  };
}
