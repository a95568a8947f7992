#!/bin/sh
# What would break a deployment minutes later is found here, at once: the hook stops with the reason and the remedy.
set -eu

stop() {
    printf 'bic: %s\n' "$1" >&2
    exit 1
}

# choice NAME DEFAULT WORD...: the value of a variable, which is one of the words.
choice() {
    name=$1 default=$2
    shift 2
    eval "value=\${$name:-$default}"
    for word in "$@"; do
        if [ "$value" = "$word" ]; then
            printf '%s' "$word"
            return
        fi
    done
    stop "$name is '$value'; it can be: $*. Say 'azd env set $name $default', for example."
}

need_az() {
    command -v az >/dev/null || stop "The Azure CLI is not on PATH. Install it (https://aka.ms/azcli), say 'az login', then what you said again."
}

# signed_in WHAT: one line, or the hook ends.
signed_in() {
    need_az
    answer=$(az account show --query "$1" --output tsv) ||
        stop "Who administers the database is not known: nobody is signed in to the Azure CLI. Say 'az login', or 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    [ -n "$answer" ] && [ "$(printf '%s\n' "$answer" | wc -l)" -eq 1 ] ||
        stop "The Azure CLI does not say in one line who is signed in: '$answer'. Say 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    printf '%s' "$answer"
}

remember() {
    azd env set "$1" "$2" || stop "azd could not keep $1; look at the message above, then try 'azd env set $1 $2' by hand."
}

database=$(choice BIC_DATABASE true true false)
network=$(choice BIC_NETWORK false true false)
open=$(choice BIC_DATABASE_OPEN_TO_AZURE auto auto true false)
administrator=$(choice BIC_ADMINISTRATOR_TYPE User User Group Application)

if [ "$database $network $open" = "true false false" ]; then
    stop "The database would be closed to the app: without a network it has no fixed address that a firewall could name. Say 'azd env set BIC_NETWORK true', or 'azd env set BIC_DATABASE_OPEN_TO_AZURE auto'."
fi

if [ "$database" = true ] && [ -z "${BIC_ADMINISTRATOR_NAME:-}" ]; then
    name=$(signed_in user.name)
    kind=$(signed_in user.type)
    if [ "$kind" = servicePrincipal ]; then # the CLI calls it by its client id, but not a managed identity
        printf '%s' "$name" | grep -Eiqx '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' ||
            stop "A managed identity is signed in, '$name'. Say 'azd env set BIC_ADMINISTRATOR_TYPE Application', 'azd env set BIC_ADMINISTRATOR_CLIENT_ID ID' and 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    fi
    remember BIC_ADMINISTRATOR_NAME "$name"
    if [ "$kind" = servicePrincipal ]; then
        administrator=Application
        BIC_ADMINISTRATOR_CLIENT_ID=${BIC_ADMINISTRATOR_CLIENT_ID:-$name}
        remember BIC_ADMINISTRATOR_TYPE "$administrator"
        remember BIC_ADMINISTRATOR_CLIENT_ID "$BIC_ADMINISTRATOR_CLIENT_ID"
    fi
fi

if [ "$database $administrator" = "true Application" ] && [ -z "${BIC_ADMINISTRATOR_CLIENT_ID:-}" ]; then
    stop "Azure SQL knows an application by its client id, which nobody gave. Say 'azd env set BIC_ADMINISTRATOR_CLIENT_ID ID'."
fi

if [ "$network" = true ]; then # the app's subnet is delegated to it, and a deployment registers providers of its own types only
    need_az
    az provider register --namespace Microsoft.App --wait ${AZURE_SUBSCRIPTION_ID:+--subscription "$AZURE_SUBSCRIPTION_ID"} ||
        stop "The provider Microsoft.App could not be registered. Whoever owns the subscription can: 'az provider register --namespace Microsoft.App --wait'."
fi
