import type { CompressMetadata } from "./gen/archive/v1/archive_pb.js";

/** Shows how far one operation is. */
export interface ProgressDisplay {
  show(progress: CompressMetadata): void;
  /** Leave what was shown last standing. */
  end(): void;
}

const barWidth = 24;

/**
 * A bar that moves, where `output` is a terminal; else a line for each tenth of
 * the way, so ten at most.
 */
export function createProgressDisplay(output: NodeJS.WriteStream): ProgressDisplay {
  let tenthsShown = 0;
  let isLineOpen = false;
  return {
    show(progress) {
      const share = shareOf(progress);
      if (output.isTTY) {
        const line = `   ${bar(share)} ${progressText(progress)}`;
        // A line that wraps could not be written over. Some terminals have no width to tell.
        output.write(`\r${line.slice(0, (output.columns || 80) - 1)}\x1b[K`);
        isLineOpen = true;
      } else if (Math.floor(share * 10) > tenthsShown) {
        tenthsShown = Math.floor(share * 10);
        output.write(`   ${progressText(progress)}\n`);
      }
    },
    end() {
      if (isLineOpen) output.write("\n");
      isLineOpen = false;
    },
  };
}

/** `42 %, 77 of 416 files, 1.0 of 2.4 MB`. */
export function progressText(progress: CompressMetadata): string {
  const percent = Math.floor(shareOf(progress) * 100);
  const files = `${progress.filesDone} of ${progress.filesTotal} files`;
  const bytes = `${megabytes(progress.bytesDone)} of ${megabytes(progress.bytesTotal)} MB`;
  return `${percent} %, ${files}, ${bytes}`;
}

/** Returns the share done, from 0 to 1: by bytes, or by files if all files are empty. */
function shareOf({ filesDone, filesTotal, bytesDone, bytesTotal }: CompressMetadata): number {
  if (bytesTotal > 0n) return Number(bytesDone) / Number(bytesTotal);
  return filesTotal > 0 ? filesDone / filesTotal : 1;
}

function bar(share: number): string {
  return `[${"#".repeat(Math.round(share * barWidth)).padEnd(barWidth, ".")}]`;
}

function megabytes(bytes: bigint): string {
  return (Number(bytes) / 1e6).toFixed(1);
}
