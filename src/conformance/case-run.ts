import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type ListOperationsRequestSchema,
  type ListOperationsResponse,
  type Operation,
  Operations,
} from "../protos.js";
import type { CallOptions } from "./case-calls.js";
import { CaseOperations } from "./case-operations.js";
import { NotExercised } from "./failure.js";
import { isStatus } from "./rpc-code.js";
import type { Answer } from "./subject.js";

/** All pages of a list. */
export interface Walk {
  readonly operations: readonly Operation[];
  readonly pages: readonly ListOperationsResponse[];
}

type ListRequest = MessageInitShape<typeof ListOperationsRequestSchema>;

/** One run of one case over one protocol: its calls, its operations, and lists of operations. */
export class CaseRun extends CaseOperations {
  /** ListOperations; the parent is the subject's first one unless the request names another. */
  async list(
    request: ListRequest,
    options: CallOptions = {},
  ): Promise<Answer<ListOperationsResponse>> {
    const name = await this.#listName(request.name ?? (await this.parent()), options);
    return this.#listNamed({ ...request, name }, options);
  }

  #listNamed(request: ListRequest, options: CallOptions): Promise<Answer<ListOperationsResponse>> {
    const { input, output } = Operations.method.listOperations;
    return this.call("ListOperations", options, (common) =>
      this.subject.call({ ...common, input, output, request }),
    );
  }

  /**
   * Services bind the name of a list as `{parent}` or as `{parent}/operations`. One call for each
   * protocol finds out; the first form is kept unless only the second one is accepted.
   */
  async #listName(parent: string, options: CallOptions): Promise<string> {
    const suffix = "/operations";
    if (parent === "" || parent === "operations" || parent.endsWith(suffix)) return parent;
    const key = `list name ${options.protocol ?? this.protocol}`;
    const isRefused = async (name: string) => {
      const owner = { protocol: options.protocol, raw: true };
      const answer = await this.#listNamed({ name, pageSize: 1 }, owner);
      return isStatus(answer, "INVALID_ARGUMENT") || isStatus(answer, "NOT_FOUND");
    };
    const finding =
      this.subject.shared.get(key) ??
      (async () => (await isRefused(parent)) && !(await isRefused(parent + suffix)))();
    this.subject.shared.set(key, finding);
    finding.catch(() => this.subject.shared.delete(key));
    return (await finding) === true ? parent + suffix : parent;
  }

  /** All pages of a list. Ends the case if the list does not end in time. */
  async walk(request: ListRequest, options: CallOptions = {}): Promise<Walk> {
    const pages: ListOperationsResponse[] = [];
    let earlierToken: string | undefined;
    const endMs = this.sinceMs + this.budgets.caseMs * 0.8;
    let pageToken = "";
    for (;;) {
      const answer = await this.list({ ...request, pageToken }, options);
      const page = this.page(answer, request);
      pages.push(page);
      if (page.nextPageToken === "") {
        return { pages, operations: pages.flatMap(({ operations }) => operations) };
      }
      const isLoop =
        page.nextPageToken === pageToken &&
        pageToken === earlierToken &&
        namesIn(page) === namesIn(pages.at(-2));
      if (isLoop) {
        throw this.failure(
          "page tokens lead to the end of the list",
          `the same page and the same token twice, after ${pages.length} pages`,
        );
      }
      earlierToken = pageToken;
      pageToken = page.nextPageToken;
      if (performance.now() > endMs)
        throw new NotExercised(`the list did not end in ${pages.length} pages`);
    }
  }

  /** The page of an answer. A refused guess of the parent ends the case. */
  page(answer: Answer<ListOperationsResponse>, request: ListRequest): ListOperationsResponse {
    const isGuess = request.name === undefined && !this.hasParents;
    if (isGuess && (isStatus(answer, "INVALID_ARGUMENT") || isStatus(answer, "NOT_FOUND"))) {
      throw new NotExercised(
        `ListOperations does not take the guessed parent (${answer.text}); declare "parents"`,
      );
    }
    return this.ok(answer, "OK and a page of operations");
  }
}

function namesIn(page: ListOperationsResponse | undefined): string {
  return (page?.operations ?? []).map(({ name }) => name).join("\n");
}
