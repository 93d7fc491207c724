#!/bin/sh
# Finds a Python 3.11 or 3.12 and hands over to install.py, which does the work.
# PYTHON=/path/to/python names one; else the first right one of the usual names is taken.
set -eu

names=${PYTHON:-"python3.11 python3.12 python3 python"}
found=""
for name in $names; do
    if version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
        case $version in
            3.11 | 3.12) exec "$name" "$(dirname "$0")/install.py" ;;
        esac
        found="$found $name is $version;"
    fi
done
echo "error: codeprm needs Python 3.11 or 3.12, but${found:- there is no Python here;}" \
    "install one (apt install python3.11, or python3 on Debian 12 and Ubuntu 24.04)" \
    "or name it: make install PYTHON=/path/to/python3.11" >&2
exit 2
