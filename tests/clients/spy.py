"""spy.py LOG: the calls that pkcs11-spy recorded. Prints how many there were; fails, and prints them, if a call failed that must not."""

import collections
import re
import sys

# What a client may ask of an object that can't have it: PKCS#11 gives these attributes to other classes. Clients ask anyway,
# p11tool every object for everything it has a flag for, pkcs11-tool a private key for OpenSC's own CKA_OPENSC_NON_REPUDIATION.
FOREIGN = {
    "CKO_PRIVATE_KEY": {"CKA_WRAP", "CKA_TRUSTED", "CKA_CERTIFICATE_CATEGORY", "CKA_EC_POINT", "CKA_ENCRYPT", "CKA_VERIFY",
                        "CKA_VERIFY_RECOVER", "CKA_? (0xcf534301)"},
    "CKO_PUBLIC_KEY": {"CKA_VALUE", "CKA_UNWRAP", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE",
                       "CKA_ALWAYS_AUTHENTICATE", "CKA_CERTIFICATE_CATEGORY"},
    "CKO_CERTIFICATE": {"CKA_WRAP", "CKA_UNWRAP", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE",
                        "CKA_ALWAYS_AUTHENTICATE"},
}


def allowed(name, value, classes, absent):
    # A profile has nothing but an id and a name.
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_TYPE_INVALID" and classes == "CKO_PROFILE":
        return bool(absent)
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_TYPE_INVALID":
        return absent and all(attribute in FOREIGN.get(classes, ()) for attribute in absent)
    # A key that never leaves the service has no other answer.
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_SENSITIVE":
        return classes == "CKO_PRIVATE_KEY" and absent == ["CKA_VALUE"]
    # Asked with too small a buffer, a client comes again with a larger one.
    if value == "CKR_BUFFER_TOO_SMALL":
        return True
    # OpenSC's spy gives its own answer to this one: it has no 3.2.
    if name == "C_GetInterface":
        return value == "CKR_ARGUMENTS_BAD"
    # Two users of the module in one process.
    return name == "C_Initialize" and value == "CKR_CRYPTOKI_ALREADY_INITIALIZED"


def main():
    text = open(sys.argv[1], encoding="latin-1").read()
    counts, wrong = collections.Counter(), []
    for process in text.split("*************** OpenSC PKCS#11 spy")[1:]:
        classes = {}
        calls = re.split(r"\n\n(?=\d+: C_)", process)[1:]
        for call in calls:
            name = call.split(None, 2)[1]
            counts[name] += 1
            returned = re.search(r"^Returned:  \d+ (\S+)", call, re.M)
            if not returned:
                wrong.append(f"{call}\nnever returned")
                continue
            handle = re.search(r"\[in\] hObject = (\S+)", call)
            handle = handle and handle[1]
            out = call.split("[out]")[-1]
            found = re.search(r"CKA_CLASS +(CKO_\w+)", call)
            if handle and found:
                classes[handle] = found[1]
            # Whoever searches for a class doesn't ask for it any more.
            if name == "C_FindObjectsInit":
                wanted = found and found[1]
            if name == "C_FindObjects" and wanted:
                classes.update(dict.fromkeys(re.findall(r"Object (0x\w+)", out), wanted))
            absent = re.findall(r"^ +(CKA_\w+|CKA_\? \(0x\w+\)) .*/ -1$", out, re.M)
            if returned[1] != "CKR_OK" and not allowed(name, returned[1], classes.get(handle), absent):
                wrong.append(f"{call}\nclass of the object: {classes.get(handle)}")
    print(", ".join(f"{count} {name}" for name, count in counts.most_common()))
    print("\n\n".join(wrong))
    # A log without a signature says nothing.
    signed = counts["C_Sign"] + counts["C_SignFinal"]
    sys.exit(bool(wrong) or not signed)


if __name__ == "__main__":
    main()
