// A hatching that the map can fill areas with, so that they are not told by colour alone.
const MARK = 'hatch|';
const SIDE = 16;
const RATIO = 2;

export const hatchName = (colour: string): string => `${MARK}${colour}`;

export function drawHatch(name: string): { data: ImageData; pixelRatio: number } | null {
  if (!name.startsWith(MARK)) return null;
  const side = SIDE * RATIO;
  const canvas = document.createElement('canvas');
  canvas.width = side;
  canvas.height = side;
  const pen = canvas.getContext('2d');
  if (!pen) return null;
  pen.strokeStyle = name.slice(MARK.length);
  pen.lineWidth = 2.5;
  // Across the corners too, so that tiles join.
  for (const shift of [-side, 0, side]) {
    pen.moveTo(shift - 2, side + 2);
    pen.lineTo(shift + side + 2, -2);
  }
  pen.stroke();
  return { data: pen.getImageData(0, 0, side, side), pixelRatio: RATIO };
}
