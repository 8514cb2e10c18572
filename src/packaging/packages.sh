# Installs or lists the packages that packages.txt names for these needs:
#
#   sh packages.sh install NEED...    Debian's, those which are missing; without a missing one apt-get is not called
#   sh packages.sh list NEED...       of all systems, each need on a line
set -eu

table=src/packaging/packages.txt

of() { # of COLUMN NEED...: the packages of these needs in this column
    column=$1
    shift
    for need; do
        awk -v need="$need" -v column="$column" '$1 == need && $column != "-" { print $column }' "$table"
    done
}

is_installed() {
    case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" in
        ii*) return 0 ;;
        *) return 1 ;;
    esac
}

exists() { # the package lists know it, and a version of it can be installed
    apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# The version of Debian's own Python, installed or not yet.
python() {
    apt-cache policy python3 | sed -n 's/^  Candidate: \([0-9]*\.[0-9]*\).*/\1/p'
}

# Prints those of the packages that are missing; for one that is not known yet all its names.
missing() {
    for package; do
        case $package in *@*) package=$(echo "$package" | sed "s/@/$(python)/") ;; esac
        names=$(echo "${package%\?}" | tr '|' ' ')
        installed= known=
        for name in $names; do
            if is_installed "$name"; then installed=$name; fi
            if [ -z "$known" ] && exists "$name"; then known=$name; fi
        done
        if [ -n "$installed" ]; then
            continue
        elif [ -n "$known" ]; then
            echo "$known"
        elif [ "${package%\?}" = "$package" ] || ! exists libc6; then # no package lists yet
            echo "$names" | tr ' ' '|'
        fi
    done
}

list() {
    for system in "Debian apt-get install 2" "Fedora dnf install 3" "Arch pacman -S 4" "Alpine apk add 5"; do
        column=${system##* }
        command=${system#* }
        echo "${system%% *}: ${command% *} ..."
        for need; do
            printf '    %-10s%s\n' "$need" "$(of "$column" "$need" | sed 's/?$//' | paste -sd' ')"
        done
    done
}

install() {
    if ! command -v apt-get >/dev/null; then
        echo "deps: this system has no apt-get. Install by hand what these packages have:"
        list "$@"
        return
    fi
    wanted=$(of 2 "$@")
    packages=$(missing $wanted)
    if [ -z "$packages" ]; then
        echo "deps: nothing is missing"
        return
    fi
    echo "deps: missing:" $packages
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        sudo -n true 2>/dev/null || {
            echo "deps: this needs root. Run: apt-get update && apt-get install" $packages >&2
            exit 1
        }
    fi
    $as_root apt-get update -q || echo "deps: some package lists are out of reach; continuing with the others" >&2
    packages=$(missing $wanted)
    case $packages in *"|"*) echo "deps: no package list has one of these:" $packages >&2 ;; esac
    set -x
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

"$@"
