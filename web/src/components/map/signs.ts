// Signs of the map's points, drawn on a canvas: a shape for the layer, a colour and a picture for
// the class. Nothing is fetched; the map asks for a sign by its name, which says all of it.

/** Lines on a grid of 24, as in the shell's icons. */
export const SIGNS = {
  dot: 'M12 11.5a.5.5 0 1 0 .01 0',
  child: 'M12 5a2.2 2.2 0 1 0 .01 0M12 10v5M8.5 11.5c2 1.2 5 1.2 7 0M12 15l-2.5 4M12 15l2.5 4',
  school: 'M4 10l8-4 8 4-8 4zM7.5 12v4.5c2.5 1.8 6.5 1.8 9 0V12',
  health: 'M12 6v12M6 12h12',
  elder: 'M10 5a2 2 0 1 0 .01 0M10 9.5v5l-2 5M10 14.5l2.5 5M10 11l4 1.5M16 12.5V20',
  meal: 'M8 5v5a2 2 0 0 0 2 0V5M9 10.5V19M15 19v-6h-1.5c0-4 .5-7 1.5-8',
  culture: 'M5 6c3-1 5-1 7 1 2-2 4-2 7-1v12c-3-1-5-1-7 1-2-2-4-2-7-1zM12 7v12',
  sport:
    'M12 5a7 7 0 1 0 .01 0M5.5 10c4 1 9 1 13 0M8 6.5c3 3.5 3 7.5 0 11M16 6.5c-3 3.5-3 7.5 0 11',
  shop: 'M5 10l1-4.5h12l1 4.5zM6.5 10v8.5h11V10M10 18.5v-5h4v5',
  service: 'M12 5.5a2.2 2.2 0 1 0 .01 0M6.5 18.5c.5-4.5 2.5-6.5 5.5-6.5s5 2 5.5 6.5z',
  shield: 'M12 5l6 2v5c0 3.5-2.5 6-6 7.5-3.5-1.5-6-4-6-7.5V7z',
  bus: 'M6.5 6h11v10h-11zM6.5 11h11M8.5 16v2.5M15.5 16v2.5',
  bin: 'M6.5 8h11M9.5 8V6h5v2M8 8l.7 10.5h6.6L16 8',
  wc: 'M8.5 5.5a1.5 1.5 0 1 0 .01 0M15.5 5.5a1.5 1.5 0 1 0 .01 0M8.5 9.5v9M6.5 13v-3.5h4V13M15.5 9.5l-2 5h4zM15.5 14.5v4',
  air: 'M4.5 10h9a2.3 2.3 0 1 0-2.2-3M4.5 13.5h12.5a2.3 2.3 0 1 1-2.2 3M4.5 17h6',
  drop: 'M12 5c3 4 5 6.5 5 9.2a5 5 0 0 1-10 0C7 11.5 9 9 12 5z',
  noise: 'M5.5 10v4h3l4 3.5v-11L8.5 10zM15.5 9.5c1.3 1.5 1.3 3.5 0 5M18 7.5c2.3 2.7 2.3 6.3 0 9',
  car: 'M5 16v-4l2-4.5h10l2 4.5v4zM5.5 12h13M7.5 16v2M16.5 16v2',
  bolt: 'M13 4.5l-6 8.5h4.5L11 19.5l6-8.5h-4.5z',
  gauge: 'M6.5 17a7.5 7.5 0 1 1 11 0M12 13l3.5-4',
  flame: 'M12 5c1 3 4.5 5 4.5 8.5a4.5 4.5 0 0 1-9 0c0-2 1-3 2-4 .3 1.5 1 2 1.5 2 1-2 .5-4.5 1-6.5z',
  factory: 'M5 18.5v-8l4.5 3v-3l4.5 3V6h4.5v12.5z',
  home: 'M5 12l7-6.5 7 6.5M7 10.5v8h10v-8',
} as const;

export type SignName = keyof typeof SIGNS;

export const SHAPES = ['circle', 'square', 'diamond', 'hexagon', 'triangle'] as const;
export type Shape = (typeof SHAPES)[number];

export interface Sign {
  shape: Shape;
  fill: string;
  ink: string;
  /** None: the bare shape, for when there is little room. */
  icon: SignName | null;
}

/** The side of a sign on the screen, in CSS pixels. */
export const SIGN_PX = 26;
const RATIO = 2;
const MARK = 'sign|';

export function nameOf(sign: Sign): string {
  return `${MARK}${sign.shape}|${sign.fill}|${sign.ink}|${sign.icon ?? ''}`;
}

export function isSign(name: string): name is SignName {
  return name in SIGNS;
}

export function signOf(name: string): Sign | null {
  if (!name.startsWith(MARK)) return null;
  const [shape, fill, ink, icon] = name.slice(MARK.length).split('|');
  const known = SHAPES.find((one) => one === shape);
  if (!known || !fill || !ink) return null;
  return { shape: known, fill, ink, icon: icon && isSign(icon) ? icon : null };
}

/** The outline of a shape on a grid of 24; the legend draws the same. */
export const SHAPE_PATHS: Record<Shape, string> = {
  circle: 'M12 1.5a10.5 10.5 0 1 0 .01 0z',
  square:
    'M4 2.5h16a1.5 1.5 0 0 1 1.5 1.5v16a1.5 1.5 0 0 1-1.5 1.5H4a1.5 1.5 0 0 1-1.5-1.5V4A1.5 1.5 0 0 1 4 2.5z',
  diamond: 'M12 .5L23.5 12 12 23.5.5 12z',
  hexagon: 'M6.5 2h11L23 12l-5.5 10h-11L1 12z',
  triangle: 'M12 1l11.5 20.5H.5z',
};

export interface Drawn {
  data: ImageData;
  pixelRatio: number;
}

/** A sign's picture. A rim in the colour of the ink keeps neighbours apart. */
export function draw(sign: Sign): Drawn | null {
  const side = SIGN_PX * RATIO;
  const canvas = document.createElement('canvas');
  canvas.width = side;
  canvas.height = side;
  const pen = canvas.getContext('2d');
  if (!pen) return null;
  pen.scale(side / 26, side / 26);
  pen.translate(1, 1);
  const shape = new Path2D(SHAPE_PATHS[sign.shape]);
  pen.fillStyle = sign.fill;
  pen.strokeStyle = sign.ink;
  pen.lineWidth = sign.icon ? 1.5 : 2.5;
  pen.fill(shape);
  pen.stroke(shape);
  if (sign.icon) {
    // A triangle has its room lower down.
    const scale = sign.shape === 'triangle' || sign.shape === 'diamond' ? 0.62 : 0.8;
    pen.translate(12, sign.shape === 'triangle' ? 14.5 : 12);
    pen.scale(scale, scale);
    pen.translate(-12, -12);
    pen.lineWidth = 1.9 / scale;
    pen.lineCap = 'round';
    pen.lineJoin = 'round';
    pen.stroke(new Path2D(SIGNS[sign.icon]));
  }
  return { data: pen.getImageData(0, 0, side, side), pixelRatio: RATIO };
}
