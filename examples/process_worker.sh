#!/bin/sh
# Beam's boot for --environment_type=PROCESS, which ends with the task manager that started it, also by kill -9:
#
#   --environment_type=PROCESS '--environment_config={"command": "/opt/penstock/process_worker.sh"}'
#
# BOOT names the program, where it isn't where Beam's images have it. Alone, boot starts Python again and again
# when its task manager is gone. Needs Linux.

"${BOOT:-/opt/apache/beam/boot}" "$@" &
boot=$!
trap 'kill -TERM $boot 2>/dev/null' TERM INT HUP
parent=$PPID
while [ "$parent" = "$PPID" ] && kill -0 $boot 2>/dev/null; do
    sleep 1
    read -r _ _ _ parent _ < /proc/$$/stat
done
if kill -TERM $boot 2>/dev/null; then
    sleep 6 # boot gives Python five seconds
    kill -KILL $boot 2>/dev/null
fi
wait $boot
