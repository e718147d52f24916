/** Select Graphic Rendition (ECMA-48, 8.3.117): the number that starts each style. */
const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Style = keyof typeof styles;

/** Returns the text in a style if the output has colors, and unchanged otherwise. */
export function styled(
  output: { readonly hasColors: boolean },
  style: Style,
  text: string,
): string {
  return output.hasColors && text !== "" ? `\x1b[${styles[style]}m${text}\x1b[0m` : text;
}
