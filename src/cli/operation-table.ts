import { formatAge } from "../display/format-time.js";
import type { OperationSummary } from "../display/operation-summary.js";
import { statusStyles } from "../display/operation-text.js";
import { printable } from "../display/printable.js";
import { percentText } from "../display/progress-text.js";
import { styled } from "../display/style.js";
import type { Output } from "./terminal.js";

const titles = ["NAME", "AGE", "STATE", "METHOD/TYPE", "PROGRESS"] as const;

/** A table that grows by pages: the first page writes the title, and columns only get wider. */
export interface OperationTable {
  /** @param nowMs The time at which ages end, in milliseconds since the Unix epoch. */
  add(operations: readonly OperationSummary[], nowMs: number): void;
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
        cells[2] = styled(output, statusStyles[operation.status], state);
        output.write(`${cells.join("  ").trimEnd()}\n`);
      }
    },
  };
}

function cellsOf(operation: OperationSummary, nowMs: number): string[] {
  const { createTimeMs, progress, error } = operation;
  return [
    printable(operation.name),
    createTimeMs === undefined ? "-" : formatAge(nowMs - createTimeMs),
    operation.status,
    operation.kind === "" ? "-" : printable(operation.kind),
    printable(error) || percentText(progress) || "-",
  ];
}
