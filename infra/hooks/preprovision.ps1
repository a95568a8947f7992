# Who administers the database: the signed-in user, unless BIC_ADMINISTRATOR_NAME says otherwise.
$ErrorActionPreference = 'Stop'
if (-not $env:BIC_ADMINISTRATOR_NAME) {
    azd env set BIC_ADMINISTRATOR_NAME (az account show --query user.name --output tsv)
}
