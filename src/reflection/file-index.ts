import {
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** Files and their declarations, by the names that clients request. */
export interface FileIndex {
  /** Returns the file with this import path, such as "google/rpc/status.proto". */
  byName(name: string): DescFile | undefined;
  /** Returns the file that declares this fully qualified name. */
  bySymbol(symbol: string): DescFile | undefined;
  byExtension(messageName: string, number: number): DescFile | undefined;
  /** Returns undefined if no file declares the message. */
  extensionNumbers(messageName: string): Iterable<number> | undefined;
  /**
   * Returns a file and its direct and indirect imports as serialized FileDescriptorProtos, each file
   * before its imports. Omits the imports whose names are in `sent`, and adds the names of the
   * returned files to `sent`.
   */
  withImports(file: DescFile, sent: Set<string>): Uint8Array[];
}

/** Indexes these files and their direct and indirect imports. */
export function createFileIndex(files: Iterable<DescFile>): FileIndex {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, DescFile>>();
  const serialized = new Map<DescFile, Uint8Array>();

  const addExtension = (extension: DescExtension) => {
    bySymbol.set(extension.typeName, extension.file);
    const { typeName } = extension.extendee;
    const numbers = extensions.get(typeName) ?? new Map<number, DescFile>();
    extensions.set(typeName, numbers.set(extension.number, extension.file));
  };
  const addEnum = ({ typeName, file, values }: DescEnum) => {
    bySymbol.set(typeName, file);
    // The values of an enum are its siblings, as in C++ (descriptor.proto).
    const scope = typeName.slice(0, typeName.lastIndexOf(".") + 1);
    for (const { name } of values) bySymbol.set(scope + name, file);
  };
  const addMessage = (message: DescMessage) => {
    const { typeName, file } = message;
    messages.add(typeName);
    bySymbol.set(typeName, file);
    for (const { name } of [...message.fields, ...message.oneofs]) {
      bySymbol.set(`${typeName}.${name}`, file);
    }
    message.nestedMessages.forEach(addMessage);
    message.nestedEnums.forEach(addEnum);
    message.nestedExtensions.forEach(addExtension);
  };
  const addFile = (file: DescFile) => {
    if (byName.has(file.proto.name)) return;
    byName.set(file.proto.name, file);
    file.messages.forEach(addMessage);
    file.enums.forEach(addEnum);
    file.extensions.forEach(addExtension);
    for (const { typeName, methods } of file.services) {
      bySymbol.set(typeName, file);
      for (const { name } of methods) bySymbol.set(`${typeName}.${name}`, file);
    }
    file.dependencies.forEach(addFile);
  };
  for (const file of files) addFile(file);

  const bytesOf = (file: DescFile): Uint8Array => {
    const known = serialized.get(file);
    if (known !== undefined) return known;
    const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
    serialized.set(file, bytes);
    return bytes;
  };

  return {
    byName: (name) => byName.get(name),
    bySymbol: (symbol) => bySymbol.get(symbol),
    byExtension: (messageName, number) => extensions.get(messageName)?.get(number),
    extensionNumbers: (messageName) =>
      messages.has(messageName) ? (extensions.get(messageName)?.keys() ?? []) : undefined,
    withImports(file, sent) {
      // The files are keyed by name, because a program may have two copies of a file and the client
      // must get one.
      const closure = new Map<string, DescFile>();
      const visit = (member: DescFile) => {
        if (closure.has(member.proto.name)) return;
        member.dependencies.forEach(visit);
        closure.set(member.proto.name, member);
      };
      visit(file);
      const news = [...closure]
        .reverse()
        .filter(([name, member]) => member === file || !sent.has(name));
      for (const [name] of news) sent.add(name);
      return news.map(([, member]) => bytesOf(member));
    },
  };
}
