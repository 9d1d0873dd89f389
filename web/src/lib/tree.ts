// Paths as folders: what a list of files looks like in a tree.

export interface Folder<T> {
  name: string;
  path: string;
  folders: Folder<T>[];
  files: T[];
  /** Of everything below. */
  count: number;
  size: number;
}

/** The tree of files by their paths; folders with one folder and nothing else in them are told as one. */
export function treeOf<T extends { path: string; size: number }>(files: readonly T[]): Folder<T> {
  const root: Folder<T> = { name: "", path: "", folders: [], files: [], count: 0, size: 0 };
  for (const file of files) {
    let here = root;
    here.count += 1;
    here.size += file.size;
    for (const name of file.path.split("/").slice(0, -1)) {
      let next = here.folders.find((folder) => folder.name === name);
      if (next === undefined) {
        next = { name, path: here.path ? `${here.path}/${name}` : name, folders: [], files: [], count: 0, size: 0 };
        here.folders.push(next);
      }
      here = next;
      here.count += 1;
      here.size += file.size;
    }
    here.files.push(file);
  }
  return { ...root, folders: root.folders.map(joined) };
}

function joined<T>(folder: Folder<T>): Folder<T> {
  const only = folder.files.length === 0 && folder.folders.length === 1 ? folder.folders[0] : undefined;
  if (only !== undefined) return joined({ ...only, name: `${folder.name}/${only.name}` });
  return { ...folder, folders: folder.folders.map(joined) };
}
