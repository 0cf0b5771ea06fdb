/** A tag is a key and a value, written `key:value`. Keys are lower case; a value may hold anything, also colons. */

export type Tag = { key: string; value: string };

/** Who said so: the owner at registration, somebody later by hand, or a part of the repository that was read. */
export type TagSource = 'author' | 'manual' | `auto:${'tags-file' | 'package' | 'dockerfile' | 'language'}`;

export type SourcedTag = Tag & { source: TagSource };

/** `key:value`, the form people type and two tags are compared by. */
export function tagText(tag: Tag): string {
  return `${tag.key}:${tag.value}`;
}
