// Where the boxes and lines of a lineage graph stand: boxes in columns from left to right, a row for
// each field, lines from row to row. Pure arithmetic, so that it can be tested.

export interface FlowRow {
  id: string;
  label: string;
}

export interface FlowBox {
  id: string;
  title: string;
  note?: string;
  /** From 0, left to right. */
  column: number;
  rows: FlowRow[];
}

/** `row` left out: the line goes to the box's head. */
export interface FlowEnd {
  box: string;
  row?: string;
}

export interface FlowEdge {
  from: FlowEnd;
  to: FlowEnd;
  how: string;
}

export const BOX_WIDTH = 220;
export const ROW_HEIGHT = 26;
export const HEAD_HEIGHT = 46;
const COLUMN_GAP = 84;
const BOX_GAP = 22;
const MARGIN = 8;

export interface PlacedBox extends FlowBox {
  x: number;
  y: number;
  height: number;
}

export interface PlacedEdge {
  edge: FlowEdge;
  path: string;
}

export interface Placed {
  boxes: PlacedBox[];
  edges: PlacedEdge[];
  width: number;
  height: number;
}

export const endKey = (end: FlowEnd): string => `${end.box}\u0000${end.row ?? ''}`;

function endY(box: PlacedBox, row: string | undefined): number {
  const at = box.rows.findIndex((one) => one.id === row);
  if (row === undefined || at < 0) return box.y + HEAD_HEIGHT / 2;
  return box.y + HEAD_HEIGHT + at * ROW_HEIGHT + ROW_HEIGHT / 2;
}

export function place(boxes: readonly FlowBox[], edges: readonly FlowEdge[]): Placed {
  // Columns that are empty take no room.
  const used = [...new Set(boxes.map((box) => box.column))].sort((a, b) => a - b);
  const bottoms = used.map(() => MARGIN);
  const placed = boxes.map((box) => {
    const column = used.indexOf(box.column);
    const y = bottoms[column] ?? MARGIN;
    const height = HEAD_HEIGHT + box.rows.length * ROW_HEIGHT + 6;
    bottoms[column] = y + height + BOX_GAP;
    return { ...box, x: MARGIN + column * (BOX_WIDTH + COLUMN_GAP), y, height };
  });
  const height = Math.max(...bottoms, MARGIN) - BOX_GAP + MARGIN;
  // Lower columns stand in the middle of the highest.
  for (const box of placed) {
    const column = used.indexOf(box.column);
    box.y += Math.max(0, (height - MARGIN - ((bottoms[column] ?? 0) - BOX_GAP)) / 2);
  }
  const byId = new Map(placed.map((box) => [box.id, box]));
  const lines = edges.flatMap((edge) => {
    const from = byId.get(edge.from.box);
    const to = byId.get(edge.to.box);
    if (!from || !to) return [];
    const [x1, y1] = [from.x + BOX_WIDTH, endY(from, edge.from.row)];
    const [x2, y2] = [to.x, endY(to, edge.to.row)];
    const bend = Math.max(30, (x2 - x1) / 2);
    return [{ edge, path: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }];
  });
  const width = MARGIN * 2 + used.length * BOX_WIDTH + Math.max(0, used.length - 1) * COLUMN_GAP;
  return { boxes: placed, edges: lines, width, height: Math.max(height, 60) };
}

/** All ends that lie up or down the lines from one end. */
export function connected(end: FlowEnd, edges: readonly FlowEdge[]): Set<string> {
  const found = new Set([endKey(end)]);
  const walk = (forward: boolean): void => {
    const waiting = [endKey(end)];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const edge of edges) {
        const [here, there] = forward ? [edge.from, edge.to] : [edge.to, edge.from];
        if (endKey(here) !== next || found.has(endKey(there))) continue;
        found.add(endKey(there));
        waiting.push(endKey(there));
      }
    }
  };
  walk(true);
  walk(false);
  return found;
}
