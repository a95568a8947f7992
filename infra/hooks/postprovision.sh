#!/bin/sh
# Upload bic.toml to where the app setting BIC_SETTINGS points. The role that allows it was given a moment ago and may take
# minutes to count, so this is tried for five minutes.
set -eu

stop() {
    printf 'bic: %s\n' "$1" >&2
    exit 1
}

if [ -n "${BIC_SQL_SERVER:-}" ]; then
    printf '%s\n' "To let the app into the database, run this once in 'sessions' on $BIC_SQL_SERVER, as its administrator:" "    $BIC_SQL_USER"
fi

file="${BIC_SETTINGS_FILE:-bic.toml}"
if [ ! -f "$file" ]; then
    echo "There is no $file yet: copy bic.example.toml, fill it in, and run 'azd hooks run postprovision'." >&2
    exit 0
fi
command -v az >/dev/null || stop "The Azure CLI is not on PATH. Install it (https://aka.ms/azcli), say 'az login', then 'azd hooks run postprovision'."
az account show --output none || stop "Nobody is signed in to the Azure CLI. Say 'az login', then 'azd hooks run postprovision'."
tries=0 status=0
until az storage blob upload --auth-mode login --account-name "$BIC_DATA_ACCOUNT" --container-name "$BIC_SETTINGS_CONTAINER" \
    --name bic.toml --file "$file" --overwrite true --only-show-errors --output none || { status=$? && false; }; do
    tries=$((tries + 1))
    [ "$status" -ne 2 ] || stop "This Azure CLI does not know these words. Bring it up to date: 'az upgrade', then 'azd hooks run postprovision'."
    [ "$tries" -lt 10 ] || stop "$file could not be uploaded. Look at the message above, then run 'azd hooks run postprovision'."
    sleep 30
done
echo "$file is now the settings of $BIC_FUNCTION_APP."
