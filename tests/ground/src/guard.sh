# Runs one server for as long as the process that started it lives.
#
#   sh guard.sh DIR NAME ROLE COMMAND...
#
# Standard input is a pipe whose other end only that process holds. However the process ends (return, panic, SIGKILL),
# the kernel closes the pipe; `read` then sees the end of it and the server is killed. Nothing has to be called, so
# nothing can be forgotten. The guard runs in a process group of its own: a Ctrl-C in the terminal ends the tests first
# and reaches the server this way too.
#
# ROLE "owner": also remove DIR afterwards, unless DIR/keep says that somebody wants to read the logs.
dir=$1 name=$2 role=$3
shift 3
exec 3<&0 </dev/null

"$@" 3<&- >"$dir/$name.log" 2>&1 &
server=$!
echo "$server" >"$dir/$name.pid"

# SIGTERM is ignored from the moment the pipe has ended, so that exit status 0 means just that.
(
    read -r _ <&3
    trap '' TERM
    kill -9 "$server"
    exit 0
) 2>/dev/null &
watcher=$!
exec 3<&-

wait "$server" 2>/dev/null
status=$?
rm -f "$dir/$name.pid"
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null || exit "$status"

if [ "$role" = owner ]; then
    if [ -e "$dir/keep" ]; then rm -rf "$dir/etcd"; else rm -rf "$dir"; fi
fi
