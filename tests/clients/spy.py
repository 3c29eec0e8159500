"""spy.py LOG: checks the calls that pkcs11-spy has recorded. Prints their number; prints the calls that must not fail, and fails."""

import collections
import re
import sys

# Attributes that PKCS#11 defines for other classes, so that the object can't have them. Clients request them all the same: p11tool reads
# every attribute that it knows of every object, and pkcs11-tool reads OpenSC's CKA_OPENSC_NON_REPUDIATION of private keys.
FOREIGN = {
    "CKO_PRIVATE_KEY": {"CKA_WRAP", "CKA_TRUSTED", "CKA_CERTIFICATE_CATEGORY", "CKA_EC_POINT", "CKA_ENCRYPT", "CKA_VERIFY",
                        "CKA_VERIFY_RECOVER", "CKA_? (0xcf534301)"},
    "CKO_PUBLIC_KEY": {"CKA_VALUE", "CKA_UNWRAP", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE",
                       "CKA_ALWAYS_AUTHENTICATE", "CKA_CERTIFICATE_CATEGORY"},
    "CKO_CERTIFICATE": {"CKA_WRAP", "CKA_UNWRAP", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE",
                        "CKA_ALWAYS_AUTHENTICATE"},
}


def allowed(name, value, classes, absent):
    # A profile object has few attributes.
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_TYPE_INVALID" and classes == "CKO_PROFILE":
        return bool(absent)
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_TYPE_INVALID":
        return absent and all(attribute in FOREIGN.get(classes, ()) for attribute in absent)
    # The value of a private key, which never leaves the service.
    if name == "C_GetAttributeValue" and value == "CKR_ATTRIBUTE_SENSITIVE":
        return classes == "CKO_PRIVATE_KEY" and absent == ["CKA_VALUE"]
    # The client calls again with a larger buffer.
    if value == "CKR_BUFFER_TOO_SMALL":
        return True
    # pkcs11-spy answers C_GetInterface itself, and does not know version 3.2.
    if name == "C_GetInterface":
        return value == "CKR_ARGUMENTS_BAD"
    # Two libraries use the module in one process.
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
                wrong.append(f"{call}\nthe call has not returned")
                continue
            handle = re.search(r"\[in\] hObject = (\S+)", call)
            handle = handle and handle[1]
            out = call.split("[out]")[-1]
            found = re.search(r"CKA_CLASS +(CKO_\w+)", call)
            if handle and found:
                classes[handle] = found[1]
            # A client that searches for a class does not read CKA_CLASS of the results.
            if name == "C_FindObjectsInit":
                wanted = found and found[1]
            if name == "C_FindObjects" and wanted:
                classes.update(dict.fromkeys(re.findall(r"Object (0x\w+)", out), wanted))
            absent = re.findall(r"^ +(CKA_\w+|CKA_\? \(0x\w+\)) .*/ -1$", out, re.M)
            if returned[1] != "CKR_OK" and not allowed(name, returned[1], classes.get(handle), absent):
                wrong.append(f"{call}\nclass of the object: {classes.get(handle)}")
    print(", ".join(f"{count} {name}" for name, count in counts.most_common()))
    print("\n\n".join(wrong))
    # A log without a signature shows nothing.
    signed = counts["C_Sign"] + counts["C_SignFinal"]
    sys.exit(bool(wrong) or not signed)


if __name__ == "__main__":
    main()
