/**
 * Sets or removes the rules of the host guard; run by the host's own shell with the host's own iptables.
 *
 * It is given: ensure or remove, what the names of the bridges begin with, and the port of the egress proxy. It prints a word
 * for each rule it had to set. Each step may find the work done by an earlier run, or by another installation on the same host.
 */
export const guardScript = `
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
action=$1 prefix=$2 port=$3
in=APPHUB-$prefix-IN forward=APPHUB-$prefix-FWD

fail() { echo "$1" >&2; exit 1; }
f() { "$tables" -w 5 "$@"; }

# The rule, unless it is there: in front of the others, or at the end.
first() { chain=$1; shift; f -C "$chain" "$@" 2>/dev/null || { f -I "$chain" 1 "$@" && echo "$tables"; }; }
last() { chain=$1; shift; f -C "$chain" "$@" 2>/dev/null || { f -A "$chain" "$@" && echo "$tables"; }; }
gone() { chain=$1; shift; while f -D "$chain" "$@" 2>/dev/null; do :; done; }

# In front of everything: a rule above that lets all in would undo it.
jump() {
  chain=$1 target=$2
  [ "$(f -S "$chain" 2>/dev/null | sed -n 2p)" = "-A $chain -i $prefix+ -j $target" ] && return
  gone "$chain" -i "$prefix+" -j "$target"
  f -I "$chain" 1 -i "$prefix+" -j "$target" && echo "$tables"
}

# The engine sees to it that this chain comes before its own.
forwarding() { if f -S DOCKER-USER >/dev/null 2>&1; then echo DOCKER-USER; else echo FORWARD; fi; }

ensure() {
  f -N "$in" 2>/dev/null
  f -N "$forward" 2>/dev/null
  last "$in" -j DROP &&
  first "$in" -p tcp -m tcp --dport "$port" -j ACCEPT &&
  first "$in" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT &&
  last "$forward" -j DROP &&
  first "$forward" -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN &&
  jump INPUT "$in" &&
  jump "$(forwarding)" "$forward"
}

remove() {
  for chain in INPUT FORWARD DOCKER-USER; do
    gone "$chain" -i "$prefix+" -j "$in"
    gone "$chain" -i "$prefix+" -j "$forward"
  done
  for chain in "$in" "$forward"; do
    f -F "$chain" 2>/dev/null
    f -X "$chain" 2>/dev/null
  done
  return 0
}

tables=iptables
command -v iptables >/dev/null 2>&1 || fail 'there is no iptables on the host'
"$action" || fail 'iptables refused a rule'
if [ -e /proc/net/if_inet6 ] && command -v ip6tables >/dev/null 2>&1; then
  tables=ip6tables
  "$action" || fail 'ip6tables refused a rule'
fi
`;
