// Adds up what a browser loads before any page is drawn: index.html, what it names, and what those
// import statically. Pages, charts, the editor and the map come after, each when it is opened. Fails
// above the limit.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const FIRST_LOAD_BYTES_MAX = 250 * 1024;

const html = readFileSync('dist/index.html', 'utf8');
const named = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]);
const seen = new Set();
const waiting = [...named];
while (waiting.length > 0) {
  const path = waiting.pop();
  if (seen.has(path) || !existsSync(join('dist', path))) continue;
  seen.add(path);
  if (!path.endsWith('.js')) continue;
  const text = readFileSync(join('dist', path), 'utf8');
  // Static imports alone: `import … from "./x.js"` and `import "./x.js"`, not `import("./x.js")`.
  for (const match of text.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) {
    waiting.push(`assets/${match[1]}`);
  }
}
const weigh = (path) => gzipSync(readFileSync(join('dist', path)), { level: 9 }).length;
const rows = [...seen].map((path) => [path, weigh(path)]).sort((a, b) => b[1] - a[1]);
const total = rows.reduce((sum, [, bytes]) => sum + bytes, gzipSync(html).length);
for (const [path, bytes] of rows)
  console.log(`${(bytes / 1024).toFixed(1).padStart(8)} KiB  ${path}`);
console.log(`${(total / 1024).toFixed(1).padStart(8)} KiB  first load, gzipped`);
if (rows.length === 0 || total > FIRST_LOAD_BYTES_MAX) {
  console.error(`the first load may have ${FIRST_LOAD_BYTES_MAX / 1024} KiB`);
  process.exit(1);
}
