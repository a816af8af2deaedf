#!/bin/sh
# backup.sh FOLDER DAYS [SECONDS]: write a verified backup into FOLDER, then delete those older than DAYS; with SECONDS again and again.
# Nothing is deleted where the new one failed. Run it with the desk's settings.
set -eu
cd "$(dirname "$0")/.."

back_up() {
    .venv/bin/python manage.py backup "$1" && find "$1" -maxdepth 1 -name 'desk-*.tar*' -mtime "+$2" -delete
}

if [ $# -lt 3 ]; then
    back_up "$1" "$2"
    exit
fi
trap 'exit 0' TERM INT
while :; do
    back_up "$1" "$2" || echo "The backup failed; the reason stands above. It is tried again in an hour." >&2
    newest=$(find "$1" -maxdepth 1 -name 'desk-*.tar*' -mmin "-$(($3 / 60))" | head -1)
    sleep "$([ -n "$newest" ] && echo "$3" || echo 3600)" &
    wait $! # else the signal waits for the sleep
done
