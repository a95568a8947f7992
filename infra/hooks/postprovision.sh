#!/bin/sh
# Upload bic.toml to where the app setting BIC_SETTINGS points. The role that allows it was given a moment ago and may take
# minutes to count, so this is tried for five minutes.
set -eu
file="${BIC_SETTINGS_FILE:-bic.toml}"
if [ ! -f "$file" ]; then
    echo "There is no $file yet: copy bic.example.toml, fill it in, and run 'azd hooks run postprovision'." >&2
    exit 0
fi
tries=0
until az storage blob upload --auth-mode login --account-name "$BIC_DATA_ACCOUNT" --container-name "$BIC_SETTINGS_CONTAINER" \
    --name bic.toml --file "$file" --overwrite true --only-show-errors --output none; do
    tries=$((tries + 1))
    if [ "$tries" -ge 10 ]; then
        echo "bic.toml could not be uploaded. Look at the message above, then run 'azd hooks run postprovision'." >&2
        exit 1
    fi
    sleep 30
done
echo "$file is now the settings of $BIC_FUNCTION_APP."
