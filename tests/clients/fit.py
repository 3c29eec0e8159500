"""fit.py IMAGE TREE NODE FOLDER: takes a signed FIT image apart, for a verifier that knows nothing of it.

FOLDER/content    the bytes that the signature of the configuration's node NODE (/configurations/conf/signature) is over
FOLDER/signature  that signature
FOLDER/modulus    the modulus of the key that was written into the device tree TREE, U-Boot's own, in OpenSSL's words

Fails if the signature leaves out the configuration or an image that it names, or if an image's SHA-256 hash is another's.

What is signed (doc/usage/fit/signature.rst of U-Boot): of each node in hashed-nodes its tags, but not the properties that hold or find an
image's data, and of each of its subnodes the begin and the end; the end of the tree; the first bytes of the strings.
"""

import hashlib
import pathlib
import struct
import sys

BEGIN, END, PROPERTY, NOP, STOP = 1, 2, 3, 4, 9
DATA = {"data", "data-size", "data-position", "data-offset"}


class Tree:
    """A flattened device tree: its tags, as (tag, path, property name or None, value, bytes), and its properties by path."""

    def __init__(self, blob):
        _, _, structure, strings = struct.unpack_from(">4I", blob)
        self.strings = blob[strings:]
        self.tags, self.properties = [], {}
        path, at = [], structure
        while True:
            start = at
            [tag] = struct.unpack_from(">I", blob, at)
            at += 4
            name, value = None, None
            if tag == BEGIN:
                end = blob.index(0, at)
                path.append(blob[at:end].decode())
                at = (end + 4) & ~3
                self.properties["/".join(path) or "/"] = {}
            elif tag == PROPERTY:
                length, where = struct.unpack_from(">2I", blob, at)
                value = blob[at + 8:at + 8 + length]
                at = (at + 8 + length + 3) & ~3
                name = self.strings[where:self.strings.index(0, where)].decode()
                self.properties["/".join(path) or "/"][name] = value
            elif tag not in (END, NOP, STOP):
                raise ValueError(f"tag {tag} at {start}")
            self.tags.append((tag, "/".join(path) or "/", name, blob[start:at]))
            if tag == END:
                path.pop()
            if tag == STOP:
                return

    def text(self, path, name):
        return [part.decode() for part in self.properties[path][name].rstrip(b"\0").split(b"\0")]


def signed_bytes(tree, nodes, strings):
    out = b""
    for tag, path, name, data in tree.tags:
        parent = path.rpartition("/")[0] or "/"
        if tag in (BEGIN, END):
            wanted = path in nodes or (path != "/" and parent in nodes)
        elif tag == STOP:
            wanted = True
        else:
            wanted = path in nodes and name not in DATA
        if wanted:
            out += data
    first, length = struct.unpack(">2I", strings)
    return out + tree.strings[first:first + length]


def main():
    image, control, node, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    tree = Tree(pathlib.Path(image).read_bytes())
    nodes = tree.text(node, "hashed-nodes")
    configuration = node.rpartition("/")[0]
    images = [f"/images/{name}" for kind in tree.text(node, "sign-images") for name in tree.text(configuration, kind)]
    for path in ["/", configuration, *images, *(f"{path}/hash" for path in images)]:
        assert path in nodes, f"{path} is not signed, only {nodes}"
    for path in images:
        assert tree.text(f"{path}/hash", "algo") == ["sha256"]
        data = tree.properties[path]["data"]
        assert hashlib.sha256(data).digest() == tree.properties[f"{path}/hash"]["value"], f"the hash of {path}"
    (folder / "content").write_bytes(signed_bytes(tree, nodes, tree.properties[node]["hashed-strings"]))
    (folder / "signature").write_bytes(tree.properties[node]["value"])
    own = Tree(pathlib.Path(control).read_bytes())
    [hint] = tree.text(node, "key-name-hint")
    key = own.properties[f"/signature/key-{hint}"]
    assert key["required"] == b"conf\0", key
    (folder / "modulus").write_text(f"Modulus={key['rsa,modulus'].hex().upper()}\n")


if __name__ == "__main__":
    main()
