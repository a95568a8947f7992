// Everything that bic needs in Azure, in one resource group. docs/infrastructure.md explains the parts, the switches and the costs.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of this installation; the resource group and all names follow from it.')
param environmentName string

@description('Azure region. It must offer the Flex Consumption plan.')
param location string

@description('Object id of whoever deploys: may write bic.toml and secrets, and administers the database.')
param principalId string

@description('Sign-in name of the same, or the display name of a group; the database shows it as its administrator.')
param principalName string

@allowed(['User', 'Group', 'Application'])
@description('What principalId is.')
param principalType string = 'User'

@description('Who is mailed when an alert rule fires; empty: nobody is.')
param alertEmail string = ''

@description('Days for which the archive container refuses every change and deletion; 0: it does not.')
@minValue(0)
@maxValue(36500)
param archiveRetentionDays int = 0

@description('Create an Azure SQL database for rows.')
param databaseEnabled bool = true

@description('A virtual network: storage, vault and database are then reached by private endpoints only.')
param networkEnabled bool = false

@description('Resource id of a hub network with a gateway to the own premises; empty: no peering.')
param hubNetworkId string = ''

@description('Address ranges of the own premises (shares, appliances) whose route leads to hubFirewallAddress.')
param onPremisesRanges string[] = []

@description('Address of a firewall in the hub through which onPremisesRanges are reached; empty: the gateway own routes do.')
param hubFirewallAddress string = ''

@description('Name servers that know the hosts of the own premises; empty: those of Azure.')
param dnsServers string[] = []

@description('Address range of the virtual network, a /24.')
param networkRange string = '10.90.0.0/24'

@description('Address ranges from which bic.toml and secrets may be written while networkEnabled; empty: only from inside.')
param administratorRanges string[] = []

@description('Address ranges from which the dashboard and the HTTP routes may be called (a function key is needed besides); empty: any.')
param callerRanges string[] = []

@description('Telemetry by OpenTelemetry instead of the host own way. docs/operating.md says what else it takes.')
param openTelemetry bool = false

@description('How often the scheduler ticks, as NCRONTAB with seconds, UTC.')
param tickSchedule string = '0 * * * * *'

@description('Minutes after which a visit to a site makes room for the next.')
@minValue(16)
@maxValue(110)
param visitMinutes int = 50

@description('Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Hours without any stored item after which an alert fires.')
@minValue(1)
@maxValue(48)
param quietHours int = 24

@description('Hours after which the newest backup of a site counts as too old.')
@minValue(1)
param backupHours int = 50

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var settingsContainer = 'bic-settings'

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  name: 'identity'
  params: {
    name: 'id-bic-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  name: 'monitoring'
  params: {
    token: token
    location: location
    tags: tags
    alertEmail: alertEmail
    quietHours: quietHours
    backupHours: backupHours
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  name: 'storage'
  params: {
    token: token
    location: location
    tags: tags
    settingsContainer: settingsContainer
    archiveRetentionDays: archiveRetentionDays
    privateOnly: networkEnabled
    administratorRanges: administratorRanges
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  name: 'vault'
  params: {
    name: take('kv-bic-${token}', 24)
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    privateOnly: networkEnabled
    administratorRanges: administratorRanges
  }
}

module database 'modules/database.bicep' = if (databaseEnabled) {
  scope: group
  name: 'database'
  params: {
    name: 'sql-bic-${token}'
    location: location
    tags: tags
    administratorId: principalId
    administratorName: principalName
    administratorType: principalType
    privateOnly: networkEnabled
  }
}

module network 'modules/network.bicep' = if (networkEnabled) {
  scope: group
  name: 'network'
  params: {
    token: token
    location: location
    tags: tags
    range: networkRange
    dnsServers: dnsServers
    hubNetworkId: hubNetworkId
    onPremisesRanges: onPremisesRanges
    hubFirewallAddress: hubFirewallAddress
  }
}

module endpoints 'modules/endpoints.bicep' = if (networkEnabled) {
  scope: group
  name: 'endpoints'
  params: {
    token: token
    location: location
    tags: tags
    networkId: networkEnabled ? network!.outputs.networkId : ''
    subnetId: networkEnabled ? network!.outputs.endpointsSubnetId : ''
    hostStorageId: storage.outputs.hostStorageId
    dataStorageId: storage.outputs.dataStorageId
    vaultId: vault.outputs.vaultId
    sqlServerId: databaseEnabled ? database!.outputs.serverId : ''
  }
}

module roles 'modules/roles.bicep' = {
  scope: group
  name: 'roles'
  params: {
    hostStorageName: storage.outputs.hostStorageName
    dataStorageName: storage.outputs.dataStorageName
    settingsContainer: settingsContainer
    vaultName: vault.outputs.vaultName
    insightsName: monitoring.outputs.insightsName
    appPrincipalId: identity.outputs.principalId
    deployerId: principalId
    deployerType: principalType == 'Application' ? 'ServicePrincipal' : principalType
  }
}

module app 'modules/app.bicep' = {
  scope: group
  name: 'app'
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.identityId
    identityClientId: identity.outputs.clientId
    hostStorageName: storage.outputs.hostStorageName
    insightsName: monitoring.outputs.insightsName
    settingsUrl: '${storage.outputs.dataBlobUrl}${settingsContainer}/bic.toml'
    tickSchedule: tickSchedule
    visitMinutes: visitMinutes
    maximumInstances: maximumInstances
    callerRanges: callerRanges
    openTelemetry: openTelemetry
    subnetId: networkEnabled ? network!.outputs.appSubnetId : ''
  }
  dependsOn: [roles]
}

output AZURE_LOCATION string = location
output BIC_FUNCTION_APP string = app.outputs.appName
output BIC_DATA_ACCOUNT string = storage.outputs.dataStorageName
output BIC_SETTINGS_CONTAINER string = settingsContainer
output BIC_ARCHIVE_URL string = '${storage.outputs.dataBlobUrl}archive'
output BIC_BACKUPS_URL string = '${storage.outputs.dataBlobUrl}backups'
output BIC_LEDGER_URL string = storage.outputs.hostTableUrl
output BIC_KEY_VAULT_URL string = vault.outputs.vaultUrl
output BIC_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output BIC_IDENTITY_NAME string = identity.outputs.identityName
output BIC_SQL_SERVER string = databaseEnabled ? database!.outputs.serverHost : ''
