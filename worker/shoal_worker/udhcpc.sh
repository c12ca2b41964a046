#!/bin/sh
# Run by udhcpc for one host tap, with what it was told in the environment (busybox's udhcpc documentation).
# It keeps the tap's address and nothing else: never a route, never a resolver. $1 is what has happened.
set -u
keep="$SHOAL_LEASE"
drop() {
    [ -s "$keep" ] && busybox ip address del "$(cat "$keep")" dev "$interface" 2>/dev/null
    rm -f "$keep"
}
case "$1" in
bound | renew)
    new="$ip/${mask:-24}"
    if [ "$(cat "$keep" 2>/dev/null)" != "$new" ]; then
        drop
        busybox ip address add "$new" dev "$interface" 2>/dev/null
        printf '%s' "$new" >"$keep.draft" && mv "$keep.draft" "$keep"
    fi
    ;;
deconfig) drop ;;
esac
exit 0
