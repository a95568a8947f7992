// The function app: Flex Consumption, Python 3.13, no key and no connection string in its settings.
param token string
param location string
param tags object
param identityId string
param identityClientId string
param hostStorageName string
param insightsName string
param settingsUrl string
param tickSchedule string
param visitMinutes int
param maximumInstances int
param callerRanges string[]
param openTelemetry bool
param subnetId string

var callers = [for (range, index) in callerRanges: { name: 'caller-${index}', priority: 100 + index, action: 'Allow', ipAddress: range }]
var telemetry = openTelemetry
  ? {
      AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry'
      PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
    }
  : {}

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: hostStorageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-bic-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-bic-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientCertEnabled: false
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: maximumInstances }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${host.properties.primaryEndpoints.blob}deployment'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
      ipSecurityRestrictionsDefaultAction: empty(callerRanges) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: callers
      scmIpSecurityRestrictionsUseMain: false // deploying takes a token of Entra ID, and need not come from there
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(telemetry, {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: host.properties.primaryEndpoints.blob
      AzureWebJobsStorage__queueServiceUri: host.properties.primaryEndpoints.queue
      AzureWebJobsStorage__tableServiceUri: host.properties.primaryEndpoints.table
      APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      BIC_SETTINGS: settingsUrl
      BIC_IDENTITY: identityClientId
      BIC_TICK_SCHEDULE: tickSchedule
      BIC_VISIT_MINUTES: string(visitMinutes)
    })
  }

  // Deployment by the own identity of whoever deploys, never by a password.
  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noScmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output appName string = app.name
