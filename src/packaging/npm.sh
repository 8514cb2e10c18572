# Has npm fetch what package-lock.json names, each by its version and its hash, into npm/node_modules beside this file:
#
#   sh npm.sh page     the libraries of the page that `tm-export html` writes
#   sh npm.sh tests    those, and what the tests of exports need
#
# Without npm or a network the rest builds all the same, and this says what is missing then. No script of a package runs.
set -eu

cd "$(dirname "$0")/npm"
case $1 in
    page) left_out=--omit=dev missing="tm-export html (and tests of it)" ;;
    tests) left_out= missing="tm-export html, and the tests that open exports in a browser," ;;
esac

# What was fetched last: all that the lock names, or without the packages for tests.
fetched=node_modules/fetched
if cmp -s package-lock.json "$fetched.tests" || { [ "$1" = page ] && cmp -s package-lock.json "$fetched.page"; }; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "deps: npm is not installed, so $missing will be missing. Install npm, and run this again"
    exit 0
fi
if ! npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error $left_out; then
    echo "deps: npm could not fetch its packages, so $missing will be missing" >&2
    exit 0
fi
rm -f "$fetched".*
cp package-lock.json "$fetched.$1"
