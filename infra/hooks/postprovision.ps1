# Upload bic.toml to where the app setting BIC_SETTINGS points. The role that allows it was given a moment ago and may take
# minutes to count, so this is tried for five minutes.
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false # what a command says is looked at here, whatever the profile chose

function Stop-Deployment([string] $Reason) {
    [Console]::Error.WriteLine("bic: $Reason")
    exit 1
}

if ($env:BIC_SQL_SERVER) {
    Write-Output "To let the app into the database, run this once in 'sessions' on $env:BIC_SQL_SERVER, as its administrator:"
    Write-Output "    $env:BIC_SQL_USER"
}

$file = if ($env:BIC_SETTINGS_FILE) { $env:BIC_SETTINGS_FILE } else { 'bic.toml' }
if (-not (Test-Path $file)) {
    [Console]::Error.WriteLine("There is no $file yet: copy bic.example.toml, fill it in, and run 'azd hooks run postprovision'.")
    exit 0
}
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Stop-Deployment "The Azure CLI is not on PATH. Install it (https://aka.ms/azcli), say 'az login', then 'azd hooks run postprovision'."
}
az account show --output none
if ($LASTEXITCODE -ne 0) {
    Stop-Deployment "Nobody is signed in to the Azure CLI. Say 'az login', then 'azd hooks run postprovision'."
}
for ($try = 1; $try -le 10; $try++) {
    az storage blob upload --auth-mode login --account-name $env:BIC_DATA_ACCOUNT --container-name $env:BIC_SETTINGS_CONTAINER `
        --name bic.toml --file $file --overwrite true --only-show-errors --output none
    if ($LASTEXITCODE -eq 0) {
        Write-Output "$file is now the settings of $env:BIC_FUNCTION_APP."
        exit 0
    }
    if ($LASTEXITCODE -eq 2) {
        Stop-Deployment "This Azure CLI does not know these words. Bring it up to date: 'az upgrade', then 'azd hooks run postprovision'."
    }
    if ($try -lt 10) { Start-Sleep -Seconds 30 }
}
Stop-Deployment "$file could not be uploaded. Look at the message above, then run 'azd hooks run postprovision'."
