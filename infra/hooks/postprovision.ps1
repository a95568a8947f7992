# Upload bic.toml to where the app setting BIC_SETTINGS points. The role that allows it was given a moment ago and may take
# minutes to count, so this is tried for five minutes.
$ErrorActionPreference = 'Stop'
$file = if ($env:BIC_SETTINGS_FILE) { $env:BIC_SETTINGS_FILE } else { 'bic.toml' }
if (-not (Test-Path $file)) {
    Write-Warning "There is no $file yet: copy bic.example.toml, fill it in, and run 'azd hooks run postprovision'."
    exit 0
}
for ($try = 1; $try -le 10; $try++) {
    az storage blob upload --auth-mode login --account-name $env:BIC_DATA_ACCOUNT --container-name $env:BIC_SETTINGS_CONTAINER `
        --name bic.toml --file $file --overwrite true --only-show-errors --output none
    if ($LASTEXITCODE -eq 0) {
        Write-Output "$file is now the settings of $env:BIC_FUNCTION_APP."
        exit 0
    }
    Start-Sleep -Seconds 30
}
throw "bic.toml could not be uploaded. Look at the message above, then run 'azd hooks run postprovision'."
