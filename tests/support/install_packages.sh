# Installs those of the Debian packages which are missing: sh install_packages.sh PACKAGE...
set -eu

missing=
for package; do
    case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" in
        ii*) ;;
        *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "deps: nothing is missing"
    exit 0
fi
echo "deps: missing:$missing"

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "deps: this system has no apt-get. Install what these Debian packages contain:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "deps: this needs root. Run: apt-get update && $install" >&2
    exit 1
fi
set -x
$as_root apt-get update -q || echo "deps: some package lists are out of reach; continuing with the others" >&2
$as_root env DEBIAN_FRONTEND=noninteractive $install
