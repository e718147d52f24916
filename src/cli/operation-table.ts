import { formatAge } from "./duration.js";
import { verdictStyles } from "./operation-tree.js";
import type { OperationView } from "./operation-view.js";
import { printable } from "./printable.js";
import { percentText } from "./progress-text.js";
import { type Output, styled } from "./terminal.js";

const titles = ["NAME", "AGE", "STATE", "METHOD/TYPE", "PROGRESS"] as const;

/** A table that grows by pages: its title comes with the first, and columns only ever get wider. */
export interface OperationTable {
  /** @param nowMs What ages are counted to, in milliseconds since the Unix epoch. */
  add(operations: readonly OperationView[], nowMs: number): void;
}

export function createOperationTable(output: Output): OperationTable {
  const widths: number[] = titles.map((title) => title.length);
  let hasTitle = false;
  return {
    add(operations, nowMs) {
      const rows = operations.map((operation) => cellsOf(operation, nowMs));
      for (const row of rows) {
        for (const [column, cell] of row.entries()) {
          widths[column] = Math.max(widths[column] ?? 0, cell.length);
        }
      }
      const line = (cells: readonly string[]) =>
        cells.map((cell, column) => cell.padEnd(widths[column] ?? 0));
      if (!hasTitle) {
        output.write(`${styled(output, "bold", line(titles).join("  ").trimEnd())}\n`);
        hasTitle = true;
      }
      for (const [at, operation] of operations.entries()) {
        const cells = line(rows[at] ?? []);
        const state = cells[2] ?? "";
        cells[2] = styled(output, verdictStyles[operation.verdict], state);
        output.write(`${cells.join("  ").trimEnd()}\n`);
      }
    },
  };
}

function cellsOf(operation: OperationView, nowMs: number): string[] {
  const { createTimeMs, progress, error } = operation;
  return [
    printable(operation.name),
    createTimeMs === undefined ? "-" : formatAge(nowMs - createTimeMs),
    operation.verdict,
    operation.kind === "" ? "-" : printable(operation.kind),
    printable(error) || percentText(progress) || "-",
  ];
}
