#!/bin/sh
# Makes the secrets of compose.yaml in deploy/secrets: those that are there already stay.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets # for its owner alone; the files in it are read by the containers' own users
cd secrets

random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

# keep NAME TEXT
keep() {
    [ -s "$1" ] || printf '%s\n' "$2" >"$1"
    chmod 444 "$1"
}

keep postgres_password "$(random | tr -d '=')"
keep redis_password "$(random | tr -d '=')"
keep secret_key "$(random)$(random)"
keep desk_secret_keys "$(random)" # a Fernet key
keep admin_password "$(random | tr -d '=' | cut -c 1-20)"
keep database_url "postgres://desk:$(cat postgres_password)@postgres:5432/desk"
keep redis_url "redis://:$(cat redis_password)@redis:6379/0"
echo "The secrets are in $PWD. Keep desk_secret_keys elsewhere, too: a backup without it has no tokens."
