#!/bin/sh
# Who administers the database: the signed-in user, unless BIC_ADMINISTRATOR_NAME says otherwise.
set -eu
if [ -z "${BIC_ADMINISTRATOR_NAME:-}" ]; then
    azd env set BIC_ADMINISTRATOR_NAME "$(az account show --query user.name --output tsv)"
fi
