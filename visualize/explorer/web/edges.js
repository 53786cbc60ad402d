/**
 * Edges between the slots of one branch: drawn as one where they run alike, and kept apart where they would
 * cover each other.
 */

/** @typedef {import('./arrangement.js').Edge} Edge */
/** @typedef {import('./arrangement.js').Box} Box */
/** @typedef {import('./arrangement.js').Level} Level */

/**
 * Edges between the same ends at the same ports, drawn as one.
 * @typedef {{from: number, to: number, fromPort: number, toPort: number, fromAt: number, toAt: number,
 *   flows: number[], count: number, first: number}} MergedEdge
 */

/**
 * @param {(Omit<MergedEdge, 'count' | 'first'>)[]} edges
 * @param {Uint8Array} isOther which flows are another origin of what one before brings, and no value more
 * @returns {MergedEdge[]}
 */
export function mergeEqual(edges, isOther) {
  /** @type {Map<string, MergedEdge>} */
  const merged = new Map();
  edges.forEach((edge, e) => {
    const key = `${edge.from} ${edge.to} ${edge.fromPort} ${edge.toPort}`;
    const known = merged.get(key);
    if (known) {
      known.flows = known.flows.concat(edge.flows);
      if (edge.flows.some((f) => !isOther[f])) known.count++;
    } else merged.set(key, { ...edge, count: 1, first: e });
  });
  return [...merged.values()];
}

/** @param {import('./wiring.js').Port[]} ports @returns {Map<number, number>} */
export function portOf(ports) {
  /** @type {Map<number, number>} */
  const found = new Map();
  ports.forEach((port, p) => port.values.forEach((value) => found.set(value, p)));
  return found;
}

/** Whether an edge goes past what another branch computes, and joins its result: a residual connection. */
export function goesPast(/** @type {MergedEdge[]} */ edges, /** @type {MergedEdge} */ edge, /** @type {Map<number, number>} */ along) {
  const at = (/** @type {number} */ m) => /** @type {number} */ (along.get(m));
  const leaves = edges.some((other) => other.from === edge.from && other !== edge && at(other.to) < at(edge.to));
  return leaves && edges.some((other) => other.to === edge.to && other !== edge && at(other.from) > at(edge.from));
}

/** The place of an edge's text: beside the line, where it leaves its source. @param {Float64Array} points
 *  @param {boolean} isDown */
export function labelPlace(points, isDown) {
  return isDown ? { labelX: points[0], labelY: points[1] + 12 } : { labelX: points[0] + 2, labelY: points[1] - 8 };
}

/**
 * Of several texts at one source all but the last go to the targets of their edges, so that none covers
 * another.
 * @param {Edge[]} edges @param {MergedEdge[]} merged
 */
export function apart(edges, merged) {
  /** @type {Map<number, Edge>} the last edge with a text of each source */
  const last = new Map();
  edges.forEach((edge, e) => {
    if (!edge.label && edge.count < 2) return;
    const before = last.get(merged[e].from);
    if (before && before.isDown) {
      before.labelX = before.points[before.points.length - 2];
      before.labelY = before.points[before.points.length - 1] - 13;
    }
    last.set(merged[e].from, edge);
  });
}

/** Let edges that meet a box in its middle meet it side by side instead, in the order of their other ends. */
export function spread(
  /** @type {Edge[]} */ edges,
  /** @type {MergedEdge[]} */ merged,
  /** @type {boolean[]} */ isBack,
  /** @type {(Box | Level)[]} */ sizes,
  /** @type {number} */ shift,
  /** @type {boolean} */ isDown,
) {
  for (const end of /** @type {('from' | 'to')[]} */ (['from', 'to'])) {
    /** @type {Map<number, number[]>} */
    const meeting = new Map();
    merged.forEach((edge, e) => {
      const size = sizes[edge[end] - shift];
      const port = end === 'from' ? edge.fromPort : edge.toPort;
      if (!size || port >= 0 || isBack[e]) return;
      meeting.set(edge[end], [...(meeting.get(edge[end]) ?? []), e]);
    });
    const axis = isDown ? 0 : 1;
    for (const [m, some] of meeting) {
      if (some.length < 2) continue;
      const size = sizes[m - shift];
      const room = (isDown ? size.width : size.height) * 0.6;
      const step = Math.min(room / (some.length - 1), isDown ? 14 : 8);
      const far = (/** @type {number} */ e) => {
        const { points } = edges[e];
        return end === 'from' ? points[axis + 4] ?? points[points.length - 2 + axis] : points[points.length - 6 + axis] ?? points[axis];
      };
      some.sort((a, b) => far(a) - far(b) || a - b);
      some.forEach((e, at) => {
        const { points } = edges[e];
        const by = (at - (some.length - 1) / 2) * step;
        const first = end === 'from' ? axis : points.length - 4 + axis;
        points[first] += by;
        points[first + 2] += by;
        if (end === 'from' && isDown) edges[e].labelX += by;
      });
    }
  }
}
