// Folder counts as a tree: "root/sub" paths in, nested nodes with summed counts out.

/** @typedef {{path: string, name: string, own: number, sum: number, children: FolderNode[]}} FolderNode */

/**
 * @param {Iterable<[string, number]>} counts folder path (parts joined by "/") and how many files lie in it itself
 * @returns {FolderNode[]} roots, each level by name
 */
export function folderTree(counts) {
  /** @type {Map<string, FolderNode>} */
  const nodes = new Map();
  /** @type {FolderNode[]} */
  const roots = [];
  const node = (/** @type {string} */ path) => {
    let found = nodes.get(path);
    if (found) return found;
    const cut = path.lastIndexOf("/");
    found = { path, name: path.slice(cut + 1), own: 0, sum: 0, children: [] };
    nodes.set(path, found);
    (cut < 0 ? roots : node(path.slice(0, cut)).children).push(found);
    return found;
  };
  for (const [path, own] of counts) node(path).own = own;
  const order = new Intl.Collator(undefined, { numeric: true });
  const settle = (/** @type {FolderNode[]} */ level) => {
    level.sort((a, b) => order.compare(a.name, b.name));
    for (const one of level) one.sum = one.own + settle(one.children);
    return level.reduce((sum, one) => sum + one.sum, 0);
  };
  settle(roots);
  return roots;
}
