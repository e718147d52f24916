import type { DescEnum, DescField, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { FileDescriptorSet, SourceCodeInfo_Location } from "@bufbuild/protobuf/wkt";

/** An element of a .proto file that may have a comment. */
type Documented = DescMessage | DescField | DescEnum | DescService | DescMethod;

/**
 * The comments of .proto files. Generated code has no comments. A descriptor set that was built
 * with source information has them (`buf build -o set.binpb`, `protoc --include_source_info`).
 */
export interface Descriptions {
  /** Returns the comment before an element; undefined without a comment. */
  of(element: Documented): string | undefined;
}

/** Longest description of one element, in characters; longer comments are cut. */
const maxLength = 1000;

/** Field numbers of descriptor.proto, of which the paths of locations consist. */
const path = { message: 4, service: 6, nestedMessage: 3, field: 2, method: 2 } as const;

export function createDescriptions(set: FileDescriptorSet | undefined): Descriptions {
  const comments = new Map<string, string>();
  for (const file of set?.file ?? []) {
    for (const location of file.sourceCodeInfo?.location ?? []) {
      const comment = commentOf(location);
      if (comment !== undefined) comments.set(keyOf(file.name, location.path), comment);
    }
  }
  return {
    of: (element) => comments.get(keyOf(fileNameOf(element), pathOf(element))),
  };
}

function commentOf({ leadingComments, trailingComments }: SourceCodeInfo_Location) {
  const comment = leadingComments || trailingComments;
  const lines = comment.split("\n").map((line) => line.replace(/^ /, "").trimEnd());
  const text = lines.join("\n").trim();
  if (text === "") return undefined;
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}

function keyOf(file: string, elementPath: readonly number[]): string {
  return `${file}:${elementPath.join(".")}`;
}

function fileNameOf(element: Documented): string {
  const file =
    element.kind === "field" || element.kind === "rpc" ? element.parent.file : element.file;
  return file.proto.name;
}

function pathOf(element: Documented): readonly number[] {
  switch (element.kind) {
    case "message":
      return messagePathOf(element);
    case "field":
      return [
        ...messagePathOf(element.parent),
        path.field,
        indexIn(element.parent.proto.field, element.proto),
      ];
    case "service":
      return [path.service, indexIn(element.file.proto.service, element.proto)];
    case "rpc":
      return [
        ...pathOf(element.parent),
        path.method,
        indexIn(element.parent.proto.method, element.proto),
      ];
    case "enum":
      return [];
  }
}

function messagePathOf(desc: DescMessage): readonly number[] {
  if (desc.parent === undefined) {
    return [path.message, indexIn(desc.file.proto.messageType, desc.proto)];
  }
  return [
    ...messagePathOf(desc.parent),
    path.nestedMessage,
    indexIn(desc.parent.proto.nestedType, desc.proto),
  ];
}

/** The descriptors of generated code and of the set have the same order, because both follow the file. */
function indexIn<T>(list: readonly T[], item: T): number {
  return list.indexOf(item);
}
