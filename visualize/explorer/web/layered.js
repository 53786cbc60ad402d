/**
 * Layers: where the members of one branch stand, and how edges run between them.
 *
 * Data flows along one axis and spreads across the other; whoever calls decides which is which. Members come
 * in program order, which breaks every tie, so that the same graph always looks the same and a member that
 * grows moves the others as little as can be. No step looks at more than the edges, a few times.
 */

const ROUNDS = 4; // of ordering, and of placing
const STUB_TARGETS = 6; // readers of one member above which its long edges are not drawn
const STUB_SPAN = 12; // layers that an edge must pass to be long

const LARGE = 200; // across, of what is a block and no box

/**
 * @typedef {object} LayerInput
 * @property {number[]} across the size of each member across the flow
 * @property {number[]} along its size along the flow
 * @property {{from: number, to: number, fromAt: number, toAt: number}[]} edges `from` before `to`; `...At` is
 *   where an edge meets a member, from its middle across
 * @property {number} firstCount how many members, the first ones, must make up the first layer
 * @property {number} lastCount how many members, the last ones, must make up the last layer
 * @property {number} acrossGap between neighbours of a layer
 * @property {number} alongGap between layers
 * @property {number} firstGap behind the first layer, if it must be one
 * @property {number} lastGap before the last layer, if it must be one
 */

/**
 * @typedef {object} LayerOutput
 * @property {Float64Array} across the middle of each member
 * @property {Float64Array} along the middle of each member
 * @property {number} acrossSize
 * @property {number} alongSize
 * @property {(Float64Array | null)[]} routes per edge, points as across, along, across, along, ...; null for
 *   an edge that is a stub
 */

/** @param {LayerInput} input @returns {LayerOutput} */
export function layered(input) {
  const count = input.across.length;
  if (!count) return { across: new Float64Array(0), along: new Float64Array(0), acrossSize: 0, alongSize: 0, routes: [] };
  const rank = ranks(input, count);
  const grid = new Grid(input, rank);
  order(grid);
  const across = place(grid, input);
  return finish(input, grid, across);
}

/** Longest paths from the start; then whatever has more readers than sources goes to its readers. */
function ranks(/** @type {LayerInput} */ input, /** @type {number} */ count) {
  const { edges, firstCount, lastCount } = input;
  const rank = new Int32Array(count);
  const outgoing = lists(count, edges, 'from');
  const incoming = lists(count, edges, 'to');
  for (let m = 0; m < count; m++) {
    if (m >= firstCount && firstCount) rank[m] = Math.max(rank[m], 1);
    for (const e of outgoing[m]) rank[edges[e].to] = Math.max(rank[edges[e].to], rank[m] + 1);
  }
  let last = 0;
  for (let m = 0; m < count - lastCount; m++) last = Math.max(last, rank[m]);
  for (let m = count - lastCount; m < count; m++) rank[m] = last + 1;
  for (let m = count - lastCount - 1; m >= firstCount; m--) {
    if (outgoing[m].length <= incoming[m].length || !outgoing[m].length) continue;
    let nearest = Infinity;
    for (const e of outgoing[m]) nearest = Math.min(nearest, rank[edges[e].to]);
    rank[m] = nearest - 1;
  }
  return packed(rank);
}

/** @param {Int32Array} rank @returns {Int32Array} the same layers without empty ones */
function packed(rank) {
  const used = [...new Set(rank)].sort((a, b) => a - b);
  const becomes = new Map(used.map((layer, at) => [layer, at]));
  return rank.map((layer) => /** @type {number} */ (becomes.get(layer)));
}

/** @param {number} count @param {LayerInput['edges']} edges @param {'from' | 'to'} end */
function lists(count, edges, end) {
  /** @type {number[][]} */
  const found = Array.from({ length: count }, () => []);
  edges.forEach((edge, e) => found[edge[end]].push(e));
  return found;
}

/** Members and, where an edge passes a layer, a place for it there, with links from layer to layer. */
class Grid {
  /** @param {LayerInput} input @param {Int32Array} rank */
  constructor(input, rank) {
    const count = rank.length;
    this.memberCount = count;
    /** @type {number[]} the layer of each member and place */ this.rank = [...rank];
    /** @type {number[]} */ this.size = [...input.across];
    /** @type {number[][]} links to the layer before */ this.up = this.rank.map(() => []);
    /** @type {number[][]} links to the layer behind */ this.down = this.rank.map(() => []);
    /** @type {number[]} */ this.linkFrom = [];
    /** @type {number[]} */ this.linkTo = [];
    /** @type {number[]} where a link meets its ends, from their middles */ this.fromAt = [];
    /** @type {number[]} */ this.toAt = [];
    /** @type {(number[] | null)[]} the links of each edge; null for a stub */ this.chains = [];
    const fanOut = new Int32Array(count);
    for (const edge of input.edges) fanOut[edge.from]++;
    for (const edge of input.edges) {
      const span = rank[edge.to] - rank[edge.from];
      const isStub = span > STUB_SPAN && fanOut[edge.from] > STUB_TARGETS;
      this.chains.push(isStub ? null : this.#chain(edge, span));
    }
    const depth = Math.max(...rank) + 1;
    /** @type {number[][]} the members and places of each layer, in order */
    this.layers = Array.from({ length: depth }, () => []);
    this.rank.forEach((layer, m) => this.layers[layer].push(m));
  }

  /** @param {LayerInput['edges'][number]} edge @param {number} span */
  #chain(edge, span) {
    const links = [];
    let before = edge.from;
    for (let step = 1; step < span; step++) {
      const passing = this.rank.length;
      this.rank.push(this.rank[edge.from] + step);
      this.size.push(4);
      this.up.push([]);
      this.down.push([]);
      links.push(this.#link(before, passing, before === edge.from ? edge.fromAt : 0, 0));
      before = passing;
    }
    links.push(this.#link(before, edge.to, before === edge.from ? edge.fromAt : 0, edge.toAt));
    return links;
  }

  /** @param {number} from @param {number} to @param {number} fromAt @param {number} toAt */
  #link(from, to, fromAt, toAt) {
    const link = this.linkFrom.length;
    this.linkFrom.push(from);
    this.linkTo.push(to);
    this.fromAt.push(fromAt);
    this.toAt.push(toAt);
    this.down[from].push(link);
    this.up[to].push(link);
    return link;
  }

  /** @param {number} m */
  isPassing(m) {
    return m >= this.memberCount;
  }
}

/** Sort each layer by where its neighbours stand, to and fro, and keep the order with the fewest crossings. */
function order(/** @type {Grid} */ grid) {
  const position = new Float64Array(grid.rank.length);
  const note = (/** @type {number[]} */ layer) => layer.forEach((m, at) => (position[m] = at));
  grid.layers.forEach(note);
  let best = grid.layers.map((layer) => [...layer]);
  let fewest = crossings(grid, position);
  for (let round = 0; round < ROUNDS && fewest; round++) {
    const goesDown = round % 2 === 0;
    const depth = grid.layers.length;
    for (let step = 1; step < depth; step++) {
      const layer = grid.layers[goesDown ? step : depth - 1 - step];
      if (layer.length < 2) continue;
      const wanted = new Map(layer.map((m) => [m, middle(grid, m, goesDown, position)]));
      layer.sort((a, b) => /** @type {number} */ (wanted.get(a)) - /** @type {number} */ (wanted.get(b)) || position[a] - position[b]);
      note(layer);
    }
    const found = crossings(grid, position);
    if (found < fewest) {
      fewest = found;
      best = grid.layers.map((layer) => [...layer]);
    }
  }
  grid.layers = best;
}

/** @param {Grid} grid @param {number} m @param {boolean} looksUp @param {Float64Array} position */
function middle(grid, m, looksUp, position) {
  const links = looksUp ? grid.up[m] : grid.down[m];
  if (!links.length) return position[m];
  let sum = 0;
  for (const link of links) {
    const other = looksUp ? grid.linkFrom[link] : grid.linkTo[link];
    const at = looksUp ? grid.fromAt[link] : grid.toAt[link];
    sum += position[other] + at / (grid.size[other] + 1); // a port at the right counts as further right
  }
  return sum / links.length;
}

/** @param {Grid} grid @param {Float64Array} position @returns {number} */
function crossings(grid, position) {
  let total = 0;
  for (const layer of grid.layers.slice(1)) {
    /** @type {number[]} */
    const ends = [];
    for (const m of layer) {
      const above = grid.up[m].map((link) => position[grid.linkFrom[link]] + grid.fromAt[link] / (grid.size[grid.linkFrom[link]] + 1));
      ends.push(...above.sort((a, b) => a - b));
    }
    total += inversions(ends);
  }
  return total;
}

/** How many pairs stand in the wrong order. @param {number[]} numbers */
function inversions(numbers) {
  const ranked = new Map([...new Set(numbers)].sort((a, b) => a - b).map((n, at) => [n, at + 1]));
  const tree = new Int32Array(ranked.size + 1);
  let found = 0;
  numbers.forEach((number, seen) => {
    const at = /** @type {number} */ (ranked.get(number));
    let notGreater = 0;
    for (let i = at; i > 0; i -= i & -i) notGreater += tree[i];
    found += seen - notGreater;
    for (let i = at; i < tree.length; i += i & -i) tree[i]++;
  });
  return found;
}

/** Middles across the flow: in their order, and otherwise as near to their neighbours as can be. */
function place(/** @type {Grid} */ grid, /** @type {LayerInput} */ input) {
  const across = new Float64Array(grid.rank.length);
  for (const layer of grid.layers) {
    let at = 0;
    for (const m of layer) {
      across[m] = at + grid.size[m] / 2;
      at += grid.size[m] + input.acrossGap;
    }
    for (const m of layer) across[m] -= (at - input.acrossGap) / 2;
  }
  const depth = grid.layers.length;
  for (let round = 0; round < ROUNDS; round++) {
    for (let k = 1; k < depth; k++) placeLayer(grid, grid.layers[k], across, input.acrossGap, true);
    for (let k = depth - 2; k >= 0; k--) placeLayer(grid, grid.layers[k], across, input.acrossGap, false);
  }
  for (let k = 1; k < depth; k++) placeLayer(grid, grid.layers[k], across, input.acrossGap, true);
  return across;
}

/**
 * The weight of a link: edges that pass layers run straight, and members stand by members, not by what
 * passes, or each residual connection would push the line it goes around a bit further.
 * @param {Grid} grid @param {number} m @param {number} other
 */
function weight(grid, m, other) {
  if (grid.isPassing(m) === grid.isPassing(other)) return grid.isPassing(m) ? 8 : 4;
  return grid.isPassing(m) ? 1 : 0.25;
}

/** Exact: neighbours that want the same place form blocks, which stand at the mean of what they want. */
function placeLayer(
  /** @type {Grid} */ grid,
  /** @type {number[]} */ layer,
  /** @type {Float64Array} */ across,
  /** @type {number} */ gap,
  /** @type {boolean} */ looksUp,
) {
  const offsets = new Float64Array(layer.length);
  /** @type {number[]} */ const means = [];
  /** @type {number[]} */ const weights = [];
  /** @type {number[]} */ const sizes = [];
  let offset = 0;
  layer.forEach((m, at) => {
    if (at) offset += (grid.size[layer[at - 1]] + grid.size[m]) / 2 + gap;
    offsets[at] = offset;
    let sum = 0;
    let total = 0;
    for (const link of looksUp ? grid.up[m] : grid.down[m]) {
      const other = looksUp ? grid.linkFrom[link] : grid.linkTo[link];
      const own = looksUp ? grid.toAt[link] : grid.fromAt[link];
      const others = looksUp ? grid.fromAt[link] : grid.toAt[link];
      // Large blocks stand below each other, not their ports, or a chain of them would drift sideways.
      const areLarge = grid.size[m] > LARGE && grid.size[other] > LARGE;
      const w = weight(grid, m, other);
      sum += w * (across[other] + (areLarge ? 0 : others - own));
      total += w;
    }
    let mean = (total ? sum / total : across[m]) - offset;
    let mass = total || 0.1;
    let size = 1;
    while (means.length && means[means.length - 1] > mean) {
      const otherMass = /** @type {number} */ (weights.pop());
      mean = (mean * mass + /** @type {number} */ (means.pop()) * otherMass) / (mass + otherMass);
      mass += otherMass;
      size += /** @type {number} */ (sizes.pop());
    }
    means.push(mean);
    weights.push(mass);
    sizes.push(size);
  });
  let at = 0;
  means.forEach((mean, block) => {
    for (let k = 0; k < sizes[block]; k++, at++) across[layer[at]] = mean + offsets[at];
  });
}

/** Positions along the flow, the routes of edges, and everything moved to start at nought. */
function finish(/** @type {LayerInput} */ input, /** @type {Grid} */ grid, /** @type {Float64Array} */ across) {
  const { along } = input;
  const depth = grid.layers.length;
  const start = new Float64Array(depth);
  const end = new Float64Array(depth);
  let at = 0;
  for (let k = 0; k < depth; k++) {
    let size = 0;
    for (const m of grid.layers[k]) if (!grid.isPassing(m)) size = Math.max(size, along[m]);
    start[k] = at;
    at += size;
    end[k] = at;
    const isFirst = k === 0 && input.firstCount > 0;
    const isLast = k === depth - 2 && input.lastCount > 0;
    at += isFirst ? input.firstGap : isLast ? input.lastGap : input.alongGap;
  }
  let low = Infinity;
  let high = -Infinity;
  grid.rank.forEach((_, m) => {
    low = Math.min(low, across[m] - grid.size[m] / 2);
    high = Math.max(high, across[m] + grid.size[m] / 2);
  });
  const middles = new Float64Array(grid.memberCount);
  for (let m = 0; m < grid.memberCount; m++) middles[m] = start[grid.rank[m]] + along[m] / 2;
  const routes = grid.chains.map((chain) => (chain ? route(chain, grid, across, low, start, end, middles, along) : null));
  return {
    across: across.slice(0, grid.memberCount).map((x) => x - low),
    along: middles,
    acrossSize: high - low,
    alongSize: end[depth - 1],
    routes,
  };
}

/** Points from the border of one member to that of another, straight through every layer between. */
function route(
  /** @type {number[]} */ chain,
  /** @type {Grid} */ grid,
  /** @type {Float64Array} */ across,
  /** @type {number} */ low,
  /** @type {Float64Array} */ start,
  /** @type {Float64Array} */ end,
  /** @type {Float64Array} */ middles,
  /** @type {number[]} */ along,
) {
  const points = [];
  for (const link of chain) {
    const from = grid.linkFrom[link];
    const to = grid.linkTo[link];
    const x = across[from] + grid.fromAt[link] - low;
    if (!grid.isPassing(from)) points.push(x, middles[from] + along[from] / 2);
    points.push(x, end[grid.rank[from]]);
    const x2 = across[to] + grid.toAt[link] - low;
    points.push(x2, start[grid.rank[to]]);
    if (!grid.isPassing(to)) points.push(x2, middles[to] - along[to] / 2);
  }
  return Float64Array.from(points);
}
